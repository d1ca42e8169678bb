//! Secrets are erased before their memory is freed: an allocator inspects each freed block.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use vgi_rpc_protocol::http::proof::{Secret, Secrets};
use vgi_rpc_protocol::http::token::{KeyRing, TokenKey};
use vgi_rpc_protocol::identity::grants::GrantKeys;

/// The secrets of the tests: each begins with a different byte, and every next byte is one more.
const SECRETS: [[u8; 32]; 3] = [secret(0x11), secret(0x41), secret(0x81)];
/// The number of consecutive bytes that count as a part of a secret.
const PART: usize = 8;

const fn secret(first: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    let mut index = 0;
    while index < bytes.len() {
        bytes[index] = first + index as u8;
        index += 1;
    }
    bytes
}

/// The system's allocator, which counts freed blocks that contain a part of a secret.
struct Looking;

static FOUND: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Looking = Looking;

// SAFETY: everything is delegated to the system's allocator, which meets the requirements.
unsafe impl GlobalAlloc for Looking {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller meets the system allocator's requirements.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block belongs to the caller until it is freed, and every byte of it was set when it was allocated.
        let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
        let is_part =
            |window: &[u8]| SECRETS.iter().any(|secret| secret.windows(PART).any(|part| part == window));
        // Two bytes rule out most windows without the rest.
        let rises = |window: &[u8]| window[1] == window[0].wrapping_add(1);
        if bytes.windows(PART).any(|window| rises(window) && is_part(window)) {
            FOUND.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller meets the system allocator's requirements.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Returns how many blocks with secrets were freed while this ran.
fn found<T>(run: impl FnOnce() -> T) -> usize {
    let before = FOUND.load(Ordering::Relaxed);
    drop(black_box(run()));
    FOUND.load(Ordering::Relaxed) - before
}

// Only one test, since the count is per process.
#[test]
fn nothing_is_freed_with_a_secret_in_it() {
    assert_eq!(found(|| SECRETS[0].to_vec()), 1, "a secret that is not erased is found");
    assert_eq!(found(|| Box::new((0_u8, SECRETS[1]))), 1, "at any position in its block");

    let hex = |secret: [u8; 32]| secret.map(|byte| format!("{byte:02x}")).concat();
    let base64 =
        ["ERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLzA", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpbXF1eX2A"];
    let seals = |keys: GrantKeys| assert!(format!("{keys:?}").contains("keys: 2"));
    assert_eq!(found(|| seals(GrantKeys::new([SECRETS[0], SECRETS[1]]).unwrap())), 0, "grant keys");
    assert_eq!(found(|| seals(GrantKeys::parse(base64).unwrap())), 0, "grant keys as text");
    assert_eq!(found(|| GrantKeys::new([SECRETS[2], SECRETS[2]]).is_err()), 0, "grant keys that are refused");

    let ring = || {
        let [first, others @ ..] = SECRETS.map(TokenKey::new);
        KeyRing::new(first, others)
    };
    assert_eq!(found(ring), 0, "token keys");
    assert_eq!(found(|| ring().clone()), 0, "their copies");
    let parsed = || KeyRing::new(TokenKey::from_hex(&hex(SECRETS[0])).unwrap(), []);
    assert_eq!(found(|| Box::new(parsed())), 0, "a token key as text");

    let secrets = || Secrets::parse(&format!("edge:{},core:{}", hex(SECRETS[0]), hex(SECRETS[1]))).unwrap();
    assert_eq!(found(secrets), 0, "secrets of proxies");
    assert_eq!(found(|| vec![Secret::new(SECRETS[2]); 3]), 0, "and each of them");
}
