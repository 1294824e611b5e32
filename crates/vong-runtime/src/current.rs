//! A value that many read and one replaces as a whole, as a register that is read again.

use std::sync::Arc;

use parking_lot::RwLock;

/// Cheap to clone; all clones show the same value.
#[derive(Debug)]
pub struct Current<T> {
    value: Arc<RwLock<Arc<T>>>,
}

impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value) }
    }
}

impl<T> Current<T> {
    pub fn new(value: Arc<T>) -> Self {
        Self { value: Arc::new(RwLock::new(value)) }
    }

    /// As it is at this moment; what the caller holds does not change any more.
    pub fn now(&self) -> Arc<T> {
        Arc::clone(&self.value.read())
    }

    pub fn set(&self, value: Arc<T>) {
        *self.value.write() = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_holds_stays_and_what_it_asks_next_is_new() {
        let current = Current::new(Arc::new(1));
        let (reader, held) = (current.clone(), current.now());
        current.set(Arc::new(2));
        assert_eq!((*held, *reader.now()), (1, 2));
    }
}
