"""How an error's text is kept."""

from tasks.domain.outcome import MAX_ERROR_LENGTH, shortened


def test_a_text_of_allowed_length_is_kept_as_it_is():
    text = "e" * MAX_ERROR_LENGTH

    assert shortened(text) == text


def test_of_a_longer_one_its_beginning_and_its_end_are_kept():
    text = shortened("first line" + "-" * MAX_ERROR_LENGTH + "last line")

    assert len(text) <= MAX_ERROR_LENGTH
    assert text.startswith("first line-") and text.endswith("-last line") and "\n[…]\n" in text


def test_half_characters_are_spelled_out_so_that_the_text_can_be_stored():
    assert shortened("broken \udc80 name") == "broken \\udc80 name"
