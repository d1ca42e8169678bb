//! Where tokens are kept between runs of a program.

use std::io;
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// Keeps one login: a document of at most 256 KiB, which is a secret. It may be called on any thread, by one at a time.
pub trait TokenStore: Send + Sync {
    /// What was saved last; `None` if nothing was, or it was erased.
    ///
    /// # Errors
    /// When it cannot be read, or others can read it.
    fn load(&self) -> io::Result<Option<Zeroizing<Vec<u8>>>>;

    /// Saves this in place of what was there. A reader finds one of both, whole.
    ///
    /// # Errors
    /// When it cannot be written. What was there stays.
    fn save(&self, login: &[u8]) -> io::Result<()>;

    /// Erases what was saved.
    ///
    /// # Errors
    /// When it is still there.
    fn erase(&self) -> io::Result<()>;
}

/// Keeps a login in memory, as long as this lives.
#[derive(Default)]
pub struct MemoryTokenStore(Mutex<Option<Zeroizing<Vec<u8>>>>);

impl TokenStore for MemoryTokenStore {
    fn load(&self) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn save(&self, login: &[u8]) -> io::Result<()> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Zeroizing::new(login.to_vec()));
        Ok(())
    }

    fn erase(&self) -> io::Result<()> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }
}

impl<T: TokenStore + ?Sized> TokenStore for std::sync::Arc<T> {
    fn load(&self) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        (**self).load()
    }

    fn save(&self, login: &[u8]) -> io::Result<()> {
        (**self).save(login)
    }

    fn erase(&self) -> io::Result<()> {
        (**self).erase()
    }
}

impl std::fmt::Debug for MemoryTokenStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryTokenStore").finish_non_exhaustive()
    }
}
