//! Transport options and reflection.

use super::*;

#[test]
fn transport_options_tell_that_there_is_no_shared_memory() {
    let conversation = converse(transport_options());
    let [Told::Output(batch, answered), Told::Finished] = &conversation.turns[0].told[..] else { panic!() };
    assert_eq!((batch.num_rows(), batch.num_columns()), (0, 0));
    assert_eq!(answered.get_str(keys::TRANSPORT_SHM), Some("false"));
    assert_eq!(answered.get_str(keys::REQUEST_VERSION), Some("1"));
    assert_eq!(answered.get_str(keys::SERVER_ID), Some(SERVER_ID));
}

/// Returns the bytes of the `result` column of the only answer.
fn payload(conversation: &Conversation) -> Vec<u8> {
    let [Told::Output(batch, _), Told::Finished] = &conversation.turns[0].told[..] else { panic!() };
    batch.column(0).as_binary::<i32>().value(0).to_vec()
}

#[test]
fn list_protocols_names_all_in_the_order_of_registration() {
    let list = ProtocolList::decode(&payload(&converse(list_protocols()))).unwrap();
    let names: Vec<_> = list.protocols.iter().map(|protocol| protocol.protocol.as_str()).collect();
    assert_eq!(names, [MAIN, VERSIONED, reflection::PROTOCOL_NAME]);
    let versions: Vec<_> = list.protocols.iter().map(|protocol| protocol.protocol_version.as_str()).collect();
    assert_eq!(versions, ["", VERSION, ""]);
    assert_eq!((&*list.server_id, &*list.server_version, &*list.request_version), (SERVER_ID, "0.1", "1"));
    assert_eq!(list.protocols[1].deprecated.as_deref(), Some("test.Versioned.v2"));
    assert!(list.protocols.iter().all(|protocol| protocol.protocol_hash.len() == 64));
}

#[test]
fn describe_tells_every_method_of_a_protocol() {
    let service = service();
    let description = ServiceDescription::decode(&payload(&converse(describe()))).unwrap();
    let hosted = service.protocols().next().unwrap();
    assert_eq!(description, reflection::describe(hosted));
    let method = |name: &str| description.methods.iter().find(|method| method.name == name).unwrap();
    assert_eq!(method("add").kind, MethodKind::Unary);
    assert_eq!(method("add").params, schema([("a", DataType::Float64), ("b", DataType::Float64)]));
    assert_eq!(method("nothing").result, None);
    assert_eq!(method("count_with_header").kind, MethodKind::Stream(StreamKind::Producer));
    assert!(method("count_with_header").header.is_some());
    assert_eq!(method("scale").kind, MethodKind::Stream(StreamKind::Exchange));
}

#[test]
fn describe_of_an_unknown_protocol_is_refused() {
    let kind = Some(kind::PROTOCOL_NOT_SUPPORTED.name());
    let error = refused(describe_unknown());
    assert_error(&error, "ProtocolNotSupportedError", Code::Unimplemented, kind, &["no.Such.v1", MAIN]);
}
