from __future__ import annotations

import pytest

from facestream.generated import GeneratedPart, attributes_of, summary_of

PART = GeneratedPart("a.b")


def test_what_stands_between_the_markers_is_replaced_and_nothing_else():
    document = f"before\n{PART.begin}\nold\n{PART.end}\nafter\n"
    assert PART.put("new\nlines", document) == f"before\n{PART.begin}\nnew\nlines\n{PART.end}\nafter\n"
    assert PART.put("old", document) == document


@pytest.mark.parametrize("document", ["", PART.begin, PART.end, f"{PART.end}{PART.begin}"])
def test_a_document_without_the_markers_is_an_error(document):
    with pytest.raises(ValueError, match=r"no section between .*a\.b: begin"):
        PART.put("new", document)


def test_a_docstring_says_what_each_attribute_is():
    class Thing:
        """A thing.

        Attributes:
            size: of it,
                in metres.
            left, right: sides.
        """

    docstring = Thing.__doc__ or ""
    assert summary_of(docstring) == "A thing."
    assert attributes_of(docstring) == {"size": "of it, in metres.", "left": "sides.", "right": "sides."}
    assert attributes_of("A thing.") == {}
