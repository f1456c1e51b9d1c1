"""What is said of images that are unlike the training images: once for each way to differ, and how many do."""

from src.prediction.outlook import Outlook

TRAINING = [{"sharpness": value, "noise": 0.01, "pixel_size": 0.5} for value in (0.45, 0.5, 0.55, 0.62)]


def told(**images: dict[str, float]) -> list[str]:
    outlook = Outlook(TRAINING)
    for name, seen in images.items():
        outlook.look(name, seen)
    return list(outlook.lines())


def test_of_images_like_them_nothing_is_said_and_without_any_nobody_can_tell():
    assert told(a=TRAINING[0], b={"sharpness": 0.7}, c={}) == []
    nothing = Outlook()
    nothing.look("a", {"sharpness": 0.001})
    assert list(nothing.lines()) == [] and nothing.usual == {}


def test_a_single_image_goes_by_its_name():
    assert told(a={"sharpness": 0.21}, b=TRAINING[0]) == [
        "a: sharpness 0.21, training images 0.45–0.62: perhaps out of focus, or sampled more finely"
    ]


def test_of_each_image_there_are_the_sentences_of_its_own():
    outlook = Outlook(TRAINING)
    outlook.look("a", {"sharpness": 0.1, "pixel_size": 1.0})
    outlook.look("b", TRAINING[1])
    found = outlook.sentences()
    assert list(found) == ["a"] and len(found["a"]) == 2 and found["a"][0].startswith("sharpness 0.1, training")


def test_several_are_counted_with_the_range_of_their_values():
    blurred = {f"b{number}": {"sharpness": 0.1 + number / 100} for number in range(12)}
    usual = {f"u{number}": TRAINING[number % 4] for number in range(28)}
    assert told(**usual, **blurred) == [
        "12 of 40 images, such as b0: sharpness 0.1–0.21, training images 0.45–0.62: perhaps out of focus, or sampled "
        "more finely"
    ]
    assert told(**blurred)[0].startswith("all images, such as b0: sharpness 0.1–0.21")


def test_both_ways_to_differ_are_told_apart_and_each_has_its_line():
    lines = told(a={"sharpness": 0.1}, b={"sharpness": 1.5}, c={"sharpness": 0.5, "pixel_size": 1.0, "noise": 0.1})
    assert [line.partition(":")[0] for line in lines] == ["c", "a", "b", "c"]
    assert [
        word
        for line, word in zip(lines, ("noise", "out of focus", "sharpened", "rescale=auto"), strict=True)
        if word in line
    ] == ["noise", "out of focus", "sharpened", "rescale=auto"]
