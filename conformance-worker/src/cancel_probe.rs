//! Counts the calls of cancellable streams, so that a test can read the counts over the wire.
//!
//! The counts are per process, or shared by all processes whose environment names the same file. FIXTURES 1.5.

use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use vgi_rpc_protocol::wire::error::RpcError;

/// The variable that names the file of shared counts.
const FILE_VARIABLE: &str = "VGI_RPC_CONFORMANCE_PROBE_FILE";

/// How often each hook was called, with the field names of the shared file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Turns of cancellable producers.
    pub produce_calls: i64,
    /// Turns of cancellable exchanges.
    pub exchange_calls: i64,
    /// Cancellations of either.
    pub on_cancel_calls: i64,
}

static OWN: Mutex<Counts> = Mutex::new(Counts { produce_calls: 0, exchange_calls: 0, on_cancel_calls: 0 });

/// Reads the counts.
pub fn read() -> Result<Counts, RpcError> {
    let mut read = Counts::default();
    change(|counts| read = *counts)?;
    Ok(read)
}

/// Changes the counts, while no other reader or writer has access.
pub fn change(edit: impl FnOnce(&mut Counts)) -> Result<(), RpcError> {
    match std::env::var_os(FILE_VARIABLE).filter(|path| !path.is_empty()) {
        Some(path) => change_shared(path.as_ref(), edit).map_err(|error| {
            RpcError::runtime_error(format!("the counts in the file that {FILE_VARIABLE} names: {error}"))
        }),
        None => {
            edit(&mut OWN.lock().unwrap_or_else(PoisonError::into_inner));
            Ok(())
        }
    }
}

/// Changes the counts in a file under an exclusive lock, which closing the file releases.
fn change_shared(path: &Path, edit: impl FnOnce(&mut Counts)) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    file.lock()?;
    let before = load(&mut file)?;
    let mut counts = before;
    edit(&mut counts);
    if counts == before {
        return Ok(());
    }
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&serde_json::to_vec(&counts)?)
}

fn load(file: &mut File) -> io::Result<Counts> {
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    if text.is_empty() { Ok(Counts::default()) } else { Ok(serde_json::from_slice(&text)?) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_counts_live_in_the_file() {
        let path = std::env::temp_dir().join(format!("vgi-rpc-cancel-probe-{}", std::process::id()));
        std::fs::write(&path, r#"{"produce_calls": 3, "on_cancel_calls": 12}"#).unwrap();
        change_shared(&path, |counts| counts.exchange_calls += 1).unwrap();
        let mut read = Counts::default();
        change_shared(&path, |counts| read = *counts).unwrap();
        assert_eq!(read, Counts { produce_calls: 3, exchange_calls: 1, on_cancel_calls: 12 });

        change_shared(&path, |counts| *counts = Counts::default()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(text, r#"{"produce_calls":0,"exchange_calls":0,"on_cancel_calls":0}"#);
    }
}
