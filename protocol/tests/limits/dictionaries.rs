//! Dictionaries that are missing, unknown, or too short.

use super::*;

/// Returns the messages of a stream, each with its body, without the end marker.
fn messages(bytes: &Bytes) -> Vec<Bytes> {
    let (mut at, mut messages) = (0, Vec::new());
    loop {
        let len = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
        if len == 0 {
            return messages;
        }
        let message = arrow_ipc::root_as_message(&bytes[at + 8..at + 8 + len]).unwrap();
        let end = at + 8 + len + message.bodyLength() as usize;
        messages.push(bytes.slice(at..end));
        at = end;
    }
}

fn read(messages: &[&Bytes]) -> Result<Vec<Item>, ReadError> {
    let mut bytes: Vec<u8> = messages.iter().flat_map(|message| message.to_vec()).collect();
    bytes.extend_from_slice(&END_OF_STREAM);
    common::streams::items_of(&bytes.into(), &Limits::default())
}

#[test]
fn a_batch_without_its_dictionary_is_refused_unless_all_is_null() {
    let bytes = stream_of(&[(row([("color", colors(["red"]))]), Metadata::new())]);
    let [schema, dictionary, batch] = &messages(&bytes)[..] else { panic!() };
    assert!(read(&[schema, dictionary, batch]).is_ok());
    assert!(matches!(read(&[schema, batch]), Err(ReadError::Message(_))));
    let nulls =
        fields([(Field::new("color", color_type(), true), arrow_array::new_null_array(&color_type(), 3))]);
    let bytes = stream_of(&[(nulls.clone(), Metadata::new())]);
    let found = messages(&bytes);
    let (first, last) = (&found[0], &found[found.len() - 1]);
    let items = read(&[first, last]).unwrap();
    assert!(matches!(&items[1], Item::Batch(batch, _) if *batch == nulls), "{items:?}");
}

#[test]
fn a_dictionary_that_the_schema_does_not_name_is_refused() {
    let bytes = stream_of(&[(row([("color", colors(["red"]))]), Metadata::new())]);
    let [_, dictionary, batch] = &messages(&bytes)[..] else { panic!() };
    let plain = EncodedSchema::new(schema([("color", DataType::Int8)])).unwrap().message().clone();
    assert!(matches!(read(&[&plain, dictionary, batch]), Err(ReadError::Message(_))));
    assert!(matches!(read(&[dictionary, batch]), Err(ReadError::Message(_))));
}

#[test]
fn the_dictionaries_of_one_stream_are_not_those_of_the_next() {
    let bytes = stream_of(&[(row([("color", colors(["red"]))]), Metadata::new())]);
    let [schema, _, batch] = &messages(&bytes)[..] else { panic!() };
    let second = [&bytes[..], schema, batch, &END_OF_STREAM].concat();
    let mut reader = Reader::new(Limits::default());
    reader.receive(second.into());
    for _ in 0..4 {
        assert!(matches!(reader.next_item(), Ok(Some(_))));
    }
    assert!(matches!(reader.next_item(), Err(ReadError::Message(_))));
}

#[test]
fn keys_outside_the_dictionary_are_refused() {
    let bytes = stream_of(&[(row([("color", colors(["red", "blue", "red"]))]), Metadata::new())]);
    let [schema, _, batch] = &messages(&bytes)[..] else { panic!() };
    let shorter = stream_of(&[(row([("color", colors(["red"]))]), Metadata::new())]);
    let short = &messages(&shorter)[1];
    assert!(matches!(read(&[schema, short, batch]), Err(ReadError::Message(_))));
}
