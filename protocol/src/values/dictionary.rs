//! Columns of text that repeats: references into a dictionary of the distinct texts.

use super::error::ValueError;
use arrow_array::types::{
    ArrowDictionaryKeyType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{
    ArrayRef, DictionaryArray, LargeStringArray, PrimitiveArray, StringArray, StringViewArray,
};
use arrow_buffer::ArrowNativeType;
use arrow_schema::{ArrowError, DataType};
use std::collections::HashMap;
use std::sync::Arc;

/// Up to this many distinct texts are searched linearly.
const FEW: usize = 16;

/// Builds a dictionary of texts.
#[derive(Debug)]
pub(super) struct DictionaryBuilder {
    key_type: DataType,
    value_type: DataType,
    /// The index of each row's text; `None` for a null.
    keys: Vec<Option<usize>>,
    texts: Vec<Box<str>>,
    /// The index of each text, once there are more than a few.
    index: HashMap<Box<str>, usize>,
}

impl DictionaryBuilder {
    /// Returns `None` if the types are not those of a dictionary of texts.
    pub(super) fn new(key_type: &DataType, value_type: &DataType) -> Option<Self> {
        let is_text = matches!(value_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        (is_text && key_type.is_dictionary_key_type()).then(|| Self {
            key_type: key_type.clone(),
            value_type: value_type.clone(),
            keys: Vec::new(),
            texts: Vec::new(),
            index: HashMap::new(),
        })
    }

    pub(super) fn append_null(&mut self) {
        self.keys.push(None);
    }

    pub(super) fn append(&mut self, text: &str) -> Result<(), ValueError> {
        let found = if self.texts.len() > FEW {
            self.index.get(text).copied()
        } else {
            self.texts.iter().position(|known| **known == *text)
        };
        let key = match found {
            Some(key) => key,
            None => self.insert(text)?,
        };
        self.keys.push(Some(key));
        Ok(())
    }

    fn insert(&mut self, text: &str) -> Result<usize, ValueError> {
        let key = self.texts.len();
        let most = match self.key_type {
            DataType::Int8 => i8::MAX as usize,
            DataType::Int16 => i16::MAX as usize,
            DataType::UInt8 => u8::MAX as usize,
            DataType::UInt16 => u16::MAX as usize,
            _ => i32::MAX as usize,
        };
        if key > most {
            let expected =
                format!("at most {} distinct texts in a dictionary with keys of {}", most + 1, self.key_type);
            return Err(ValueError::new(expected, "more"));
        }
        self.texts.push(text.into());
        if key == FEW {
            self.index = self.texts.iter().cloned().zip(0..).collect();
        } else if key > FEW {
            self.index.insert(text.into(), key);
        }
        Ok(key)
    }

    pub(super) fn finish(self) -> Result<ArrayRef, ArrowError> {
        let Self { key_type, value_type, keys, texts, .. } = self;
        let texts = texts.iter().map(|text| &**text);
        let values: ArrayRef = match value_type {
            DataType::LargeUtf8 => Arc::new(LargeStringArray::from_iter_values(texts)),
            DataType::Utf8View => Arc::new(StringViewArray::from_iter_values(texts)),
            _ => Arc::new(StringArray::from_iter_values(texts)),
        };
        match key_type {
            DataType::Int8 => dictionary::<Int8Type>(keys, values),
            DataType::Int16 => dictionary::<Int16Type>(keys, values),
            DataType::Int32 => dictionary::<Int32Type>(keys, values),
            DataType::Int64 => dictionary::<Int64Type>(keys, values),
            DataType::UInt8 => dictionary::<UInt8Type>(keys, values),
            DataType::UInt16 => dictionary::<UInt16Type>(keys, values),
            DataType::UInt32 => dictionary::<UInt32Type>(keys, values),
            _ => dictionary::<UInt64Type>(keys, values),
        }
    }
}

fn dictionary<K: ArrowDictionaryKeyType>(
    keys: Vec<Option<usize>>,
    values: ArrayRef,
) -> Result<ArrayRef, ArrowError> {
    let keys: PrimitiveArray<K> = if keys.iter().all(Option::is_some) {
        PrimitiveArray::from_iter_values(keys.into_iter().flatten().map(K::Native::usize_as))
    } else {
        keys.into_iter().map(|key| key.map(K::Native::usize_as)).collect()
    };
    Ok(Arc::new(DictionaryArray::try_new(keys, values)?))
}
