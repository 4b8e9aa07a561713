"""Every operation but chat through the official OpenAI library: operations_client.py BASE_URL PROVIDER.

Behind the provider the scripted upstream of tests/system/operations.rs plays. `BASE_URL` is used as it is, so that the
same checks run below `/providers/NAME`; PROVIDER is put before the models' names, where it is not empty.
Prints one line for each check; any failure is an exception.
"""

import io
import sys

import openai

SOUND = bytes(range(256)) * 400
WAVE = b"RIFF\r\n--not-a-boundary\r\n" + bytes(range(256)) * 4000


def main():
    base_url, provider = sys.argv[1], (sys.argv[2:] + [""])[0]
    client = openai.OpenAI(base_url=base_url + "/v1", api_key="callers-own", max_retries=0, timeout=30)

    def model(name):
        return f"{provider}/{name}" if provider else name

    for check in [completions, streamed_completions, embeddings, speech, speech_events, transcription, transcript_text,
                  streamed_transcription, translation, images, streamed_images, image_edit, streamed_image_edit, moderations, responses,
                  streamed_responses, errors]:
        check(client, model)
        print("ok", check.__name__)


def completions(client, model):
    completion = client.completions.create(model=model("texts"), prompt="Say this is a test")
    assert completion.choices[0].text == "This is a test.", completion
    assert completion.usage.prompt_tokens == 5, completion


def streamed_completions(client, model):
    chunks = client.completions.create(model=model("texts"), prompt="Say this is a test", stream=True)
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == "This is a test."


def embeddings(client, model):
    embedding = client.embeddings.create(model=model("vectors"), input=["one", "two"], encoding_format="float")
    assert [item.embedding for item in embedding.data] == [[0.5, -0.25], [1.0, 0.0]], embedding
    assert embedding.usage.total_tokens == 4, embedding


def speech(client, model):
    spoken = client.audio.speech.create(model=model("voice"), voice="alloy", input="Hello", response_format="mp3")
    assert spoken.content == SOUND, len(spoken.content)
    assert spoken.response.headers["content-type"] == "audio/mpeg", spoken.response.headers
    with client.audio.speech.with_streaming_response.create(
        model=model("voice"), voice="alloy", input="Hello"
    ) as streamed:
        assert b"".join(streamed.iter_bytes(4096)) == SOUND


def speech_events(client, model):
    spoken = client.audio.speech.create(model=model("voice"), voice="alloy", input="Hello", stream_format="sse")
    text = spoken.content.decode()
    assert "speech.audio.delta" in text and "speech.audio.done" in text and "[DONE]" not in text, text


def transcription(client, model):
    file = ("wave.wav", io.BytesIO(WAVE), "audio/wav")
    heard = client.audio.transcriptions.create(
        model=model("ears"), file=file, language="en", timestamp_granularities=["word", "segment"]
    )
    assert heard.text == "Hello there.", heard
    assert heard.usage.input_tokens == 14, heard


def transcript_text(client, model):
    heard = client.audio.transcriptions.create(model=model("ears"), file=("w.wav", WAVE), response_format="vtt")
    assert heard.startswith("WEBVTT"), heard


def streamed_transcription(client, model):
    events = list(client.audio.transcriptions.create(model=model("ears"), file=("w.wav", WAVE), stream=True))
    assert "".join(event.delta for event in events if event.type == "transcript.text.delta") == "Hello there.", events
    assert events[-1].type == "transcript.text.done" and events[-1].text == "Hello there.", events


def translation(client, model):
    heard = client.audio.translations.create(model=model("ears"), file=("w.wav", WAVE))
    assert heard.text == "Hello there.", heard


def images(client, model):
    drawn = client.images.generate(model=model("brush"), prompt="A crab", n=1, size="1024x1024")
    assert drawn.data[0].b64_json == "aGk=", drawn
    assert drawn.usage.output_tokens == 20, drawn


def streamed_images(client, model):
    events = list(client.images.generate(model=model("brush"), prompt="A crab", stream=True, partial_images=1))
    assert [event.type for event in events] == ["image_generation.partial_image", "image_generation.completed"], events


def image_edit(client, model):
    image = [("one.png", b"\x89PNG one", "image/png"), ("two.png", b"\x89PNG two", "image/png")]
    drawn = client.images.edit(model=model("brush"), image=image, prompt="A crab")
    assert drawn.data[0].b64_json == "aGk=", drawn


def streamed_image_edit(client, model):
    image = ("one.png", b"\x89PNG one", "image/png")
    events = list(client.images.edit(model=model("brush"), image=image, prompt="A crab", stream=True, partial_images=1))
    assert [event.type for event in events] == ["image_edit.partial_image", "image_edit.completed"], events
    assert events[-1].b64_json == "aGk=" and events[-1].usage.output_tokens == 20, events


def moderations(client, model):
    judged = client.moderations.create(model=model("judge"), input="Hello")
    assert judged.results[0].flagged is False, judged


def responses(client, model):
    response = client.responses.create(model=model("thinker"), input="Hello", store=True, previous_response_id="resp_0")
    assert response.output_text == "Hello there.", response
    assert response.usage.input_tokens == 9, response


def streamed_responses(client, model):
    with client.responses.stream(model=model("thinker"), input="Hello") as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert text == "Hello there." == final.output_text, (text, final)


def errors(client, model):
    for ask in [
        lambda: client.embeddings.create(model=model("refused"), input="x"),
        lambda: client.audio.speech.create(model=model("refused"), voice="alloy", input="x"),
        lambda: client.audio.transcriptions.create(model=model("refused"), file=("w.wav", WAVE)),
        lambda: client.responses.create(model=model("refused"), input="x"),
    ]:
        try:
            ask()
        except openai.RateLimitError as error:
            assert error.body["message"] == "slow down", error.body
        else:
            raise AssertionError("no exception for an upstream's 429")


main()
