"""What a command says about a problem, on stderr."""

from __future__ import annotations

from state.problem import EXIT_NOT_YET, Problem
from tests.setups import SUBNET, SUBSCRIPTION
from wizard.actions.endpoint_states import vendor_message
from wizard.azure import Endpoint
from wizard.output import DETAIL_LINES, say_problem


def test_a_message_that_is_to_be_copied_is_whole(capsys):
    resource = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Network/privateEndpoints/pe-weu"
    waiting = Endpoint(resource, "pe-weu", "westeurope", SUBNET, "alias", "Succeeded", "Pending")
    message = vendor_message(waiting)
    say_problem(Problem("x", "It waits.", todo="Send the message below.", detail=message, exit_code=EXIT_NOT_YET))
    said = capsys.readouterr().err.splitlines()
    assert said[:2] == ["… It waits.", "  do next   Send the message below."]
    assert [line[12:] for line in said[2:]] == message.splitlines()


def test_of_long_outside_text_the_end_is_said(capsys):
    say_problem(Problem("x", "It failed.", detail="\n".join(f"line {number}" for number in range(100))))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 + DETAIL_LINES
    assert said[-1] == "  detail    line 99"
