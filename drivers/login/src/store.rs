//! Stores tokens between runs of a program.

use std::io;
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// Stores one login: a secret document of at most 256 KiB. It may be called on any thread, but not concurrently.
pub trait TokenStore: Send + Sync {
    /// Returns the login that was saved last; `None` if there is none, or it was erased.
    ///
    /// # Errors
    /// If it cannot be read, or other users can read it.
    fn load(&self) -> io::Result<Option<Zeroizing<Vec<u8>>>>;

    /// Saves this login in place of the previous one. A reader sees either of them completely.
    ///
    /// # Errors
    /// If it cannot be written. The previous login remains.
    fn save(&self, login: &[u8]) -> io::Result<()>;

    /// Erases the saved login.
    ///
    /// # Errors
    /// If it could not be erased.
    fn erase(&self) -> io::Result<()>;
}

/// Stores a login in memory, for the lifetime of this value.
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
