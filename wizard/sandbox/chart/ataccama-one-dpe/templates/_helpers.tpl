{{- define "dpe.name" -}}
{{ printf "%s-dpe" .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "dpe.selector" -}}
app.kubernetes.io/name: dpe
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "dpe.labels" -}}
{{ include "dpe.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "dpe.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
