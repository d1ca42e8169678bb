//! A reservation lasts exactly as long as the memory that it covers.

use super::KIB;
use super::hostile_streams::{echoed, write_compressed, zeros};
use super::service::{answer, same};
use crate::common::batches::row;
use crate::common::driver::{Command, Pair, Rest, listen, serve};
use crate::common::feed::{Feed, Input, Piece};
use crate::common::messages::COMPRESSIONS;
use crate::common::scenarios;
use crate::common::service::responder;
use crate::common::streams::growing;
use arrow_array::{Array, RecordBatch};
use bytes::Bytes;
use vgi_rpc_protocol::client::Connection;
use vgi_rpc_protocol::ipc::{Item, Reader, encode_batch};
use vgi_rpc_protocol::memory::{Account, Budget};
use vgi_rpc_protocol::service::{Peer, Responder, TransportKind};
use vgi_rpc_protocol::{IdSource, Limits};

fn by_read() -> Feed {
    Feed::of(vec![Piece { len: 50_000, by_read: true, poll: true }])
}

/// Returns the batches of a stream; the reader is dropped.
fn batches(account: &Account, bytes: &Bytes) -> Vec<RecordBatch> {
    let mut reader = Reader::with_account(Limits::default(), account.clone());
    let mut batches = Vec::new();
    by_read().feed(&mut reader, bytes, |reader| {
        while let Some(item) = reader.next_item().unwrap() {
            batches.extend(match item {
                Item::Batch(batch, _) => Some(batch),
                _ => None,
            });
        }
    });
    batches
}

#[test]
fn a_batch_that_is_kept_and_its_slices_stay_reserved() {
    let plain = encode_batch(&row([("value", zeros(300 * KIB))]), &Default::default()).unwrap();
    let compressed = |&codec| write_compressed(&[row([("value", zeros(300 * KIB))])], codec);
    for bytes in [plain].into_iter().chain(COMPRESSIONS.iter().map(compressed)) {
        let budget = Budget::new(64 << 20);
        let account = budget.account();
        let batch = batches(&account, &bytes).remove(0);
        assert!(account.held() >= 300 * KIB, "{} are held", account.held());
        assert!(account.held() < 1400 * KIB, "{} are held", account.held());
        let (column, clone) = (batch.column(0).slice(0, 1), batch.clone());
        drop(batch);
        assert!(account.held() >= 300 * KIB);
        drop(clone);
        assert!(budget.used() >= 300 * KIB - Budget::FLOOR_BYTES, "a slice keeps the whole batch");
        drop(column);
        assert_eq!((account.held(), budget.used()), (0, 0));
    }
}

#[test]
fn a_dictionary_that_is_kept_stays_reserved() {
    let budget = Budget::new(64 << 20);
    let account = budget.account();
    // Each batch refers to the dictionary as of then.
    let mut all = batches(&account, &growing(20, 20_000));
    let last = all.pop().unwrap();
    drop(all);
    let values = last.column(0).to_data().child_data()[0].clone();
    drop(last);
    // Memory of Arrow's own, into which a delta was joined, is released with the stream; see the module's docs.
    let kept = account.held();
    drop(values);
    assert_eq!((account.held(), budget.used()), (0, 0), "{kept} were held");
}

#[test]
fn metadata_and_schemas_that_are_kept_stay_reserved() {
    let metadata = [("key", "v".repeat(100 * KIB))].into_iter().collect();
    let bytes = encode_batch(&row([("value", zeros(1))]), &metadata).unwrap();
    let budget = Budget::new(64 << 20);
    let account = budget.account();
    let mut items = Vec::new();
    let mut reader = Reader::with_account(Limits::default(), account.clone());
    by_read().feed(&mut reader, &bytes, |reader| {
        items.extend(std::iter::from_fn(|| reader.next_item().unwrap()));
    });
    drop(reader);
    assert!(account.held() >= 100 * KIB, "{} are held", account.held());
    items.retain(|item| matches!(item, Item::Schema(_)));
    assert!((500..8 * KIB).contains(&account.held()), "{} are held", account.held());
    drop(items);
    assert_eq!((account.held(), budget.used()), (0, 0));
}

/// Pending output, and the unsent part of it.
#[test]
fn output_is_reserved_until_it_is_sent() {
    use bytes::Buf;
    let budget = Budget::new(64 << 20);
    let account = budget.account();
    let mut client = Connection::with_account(Limits::default(), &account);
    super::service::exchange("same").issue(&mut client).unwrap();
    same(300 * KIB).issue(&mut client).unwrap();
    let len = client.poll_transmit().unwrap().len();
    assert!(account.held() >= len && account.held() < len + 8 * KIB, "{} for {len}", account.held());
    client.poll_transmit().unwrap().advance(200 * KIB);
    assert!(account.held() < len - 100 * KIB, "{} for {len}", account.held());
    client.poll_transmit().unwrap().advance(usize::MAX);
    assert_eq!(account.held(), 0);
    drop(client);
    let mut client = Connection::with_account(Limits::default(), &account);
    answer(1).issue(&mut client).unwrap();
    assert!(account.held() > 0);
    drop(client);
    assert_eq!(account.held(), 0, "output that is never sent is released");
}

/// Plays a script on a pair whose sides have an account each.
fn play(script: &[Command], client: &Account, server: &Account) -> (Bytes, Bytes) {
    let mut pair = Pair {
        client: Connection::with_account(Limits::default(), client),
        server: responder(Limits::default()).with_account(server.clone()),
        server_rest: Rest::NeedInput,
        request: Vec::new(),
    };
    let turns: Vec<_> = script.iter().map(|command| pair.play(command.clone())).collect();
    let response: Bytes = turns.iter().flat_map(|turn| turn.response.clone()).collect();
    (pair.request.into(), response)
}

#[track_caller]
fn assert_nothing_held(what: &str, budget: &Budget, accounts: &[&Account]) {
    let held: Vec<_> = accounts.iter().map(|account| account.held()).collect();
    assert_eq!((budget.used(), held.iter().sum::<usize>()), (0, 0), "{what}: {held:?}");
}

#[test]
fn nothing_is_held_after_any_conversation() {
    crate::common::quiet_panics();
    let mut most = 0;
    for (name, script) in scenarios::all() {
        let budget = Budget::new(64 << 20);
        let (client, server) = (budget.account(), budget.account());
        let (request, response) = play(&script, &client, &server);
        assert_nothing_held(name, &budget, &[&client, &server]);
        for len in [usize::MAX, 7] {
            let mut feed = Feed::of(vec![Piece { len, by_read: true, poll: true }]);
            let mut machine = responder(Limits::default()).with_account(server.clone());
            feed.feed(&mut machine, &request, |machine| {
                serve(machine, usize::MAX, &mut Vec::new());
                most = most.max(server.held());
            });
            drop(machine);
            let mut machine = Reader::with_account(Limits::default(), client.clone());
            feed.feed(&mut machine, &response, |machine| while let Ok(Some(_)) = machine.next_item() {});
            drop(machine);
            assert_nothing_held(name, &budget, &[&client, &server]);
        }
    }
    assert!(most > 1000, "memory was reserved in between: {most}");
}

/// Stops at every point of a conversation.
#[test]
fn nothing_is_held_after_a_conversation_that_breaks_off() {
    crate::common::quiet_panics();
    let budget = Budget::new(64 << 20);
    let account = budget.account();
    for (name, script) in scenarios::all() {
        let (request, response) = play(&script, &Account::default(), &Account::default());
        for at in (0..request.len()).step_by(13) {
            let mut machine = responder(Limits::default()).with_account(account.clone());
            feed_once(&mut machine, &request[..at]);
            // The answer is not fetched.
            while let Ok(vgi_rpc_protocol::Next::Event(work)) = machine.poll_work() {
                machine.complete(work.run()).unwrap();
            }
        }
        for at in (0..response.len()).step_by(13) {
            let mut machine = Connection::with_account(Limits::default(), &account);
            script[0].issue(&mut machine).unwrap();
            feed_once(&mut machine, &response[..at]);
            listen(&mut machine, &mut Vec::new());
        }
        assert_nothing_held(name, &budget, &[&account]);
    }
}

fn feed_once<M: Input>(machine: &mut M, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let lent = machine.read_buf();
        let count = lent.len().min(bytes.len());
        lent[..count].copy_from_slice(&bytes[..count]);
        machine.advance(count);
        bytes = &bytes[count..];
    }
}

/// The reference's conversations, read as a server and as a client.
#[test]
fn nothing_is_held_after_any_capture() {
    crate::common::quiet_panics();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden");
    let budget = Budget::new(64 << 20);
    let account = budget.account();
    let mut captures = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_request = name.ends_with(".request.bin");
        if !is_request && !name.ends_with(".response.bin") {
            continue;
        }
        captures += 1;
        let bytes = Bytes::from(std::fs::read(&path).unwrap());
        if is_request {
            let mut server = responder(Limits::default()).with_account(account.clone());
            by_read().feed(&mut server, &bytes, |server| {
                serve(server, usize::MAX, &mut Vec::new());
            });
        }
        let mut reader = Reader::with_account(Limits::default(), account.clone());
        by_read().feed(&mut reader, &bytes, |reader| while let Ok(Some(_)) = reader.next_item() {});
        drop(reader);
        assert_nothing_held(&name, &budget, &[&account]);
    }
    assert!(captures > 200, "{captures} captures");
}

/// A large message leaves nothing reserved on a connection that remains open.
#[test]
fn large_messages_leave_no_memory_behind() {
    let (main, _) = super::service::service();
    let budget = Budget::new(1 << 30);
    let account = budget.account();
    let peer = Peer::new(TransportKind::Pipe, "server-1");
    let mut server =
        Responder::new(main, peer, Limits::default(), IdSource::seeded(7)).with_account(account.clone());
    for (name, _, bytes) in echoed() {
        let left = allocation_counter::measure(|| {
            feed_once(&mut server, &bytes);
            let mut out = Vec::new();
            serve(&mut server, usize::MAX, &mut out);
            drop(out);
            server.release_memory();
        });
        println!("{} KiB are left by {name}", left.bytes_current >> 10);
        assert!(left.bytes_current < 128 << 10, "{} bytes are left by {name}", left.bytes_current);
    }
    assert_eq!(account.held(), 0);
}
