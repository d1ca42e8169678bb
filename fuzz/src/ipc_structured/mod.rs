//! Streams written from an arbitrary description: unedited, they are read as they were written; damaged, they do no harm.
//!
//! The input selects columns of any type, how they are split into batches, metadata, the writer, and edits of the bytes.
//! The rest of the input is appended to the stream.

mod columns;

use crate::support::{limits, panics};
use arbitrary::{Result, Unstructured};
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{DataType, Field, Schema};
use bytes::{Buf, Bytes};
use std::sync::Arc;
use vgi_rpc_protocol::ipc::{BatchEncoder, EncodedSchema, Item, Metadata, Outbox, Reader};

/// Most columns of a stream.
const COLUMNS: usize = 4;
/// Most rows of all batches together.
const ROWS: usize = 24;
/// Most batches of a stream, metadata entries of a batch, and edits of the whole.
const FEW: usize = 4;

/// Writes the stream that `data` describes and reads it.
pub fn run(data: &[u8]) {
    panics::watch();
    // Missing parts of the description are read as zeros; only contradictory sizes fail.
    let _ = write_and_read(&mut Unstructured::new(data));
}

fn write_and_read(u: &mut Unstructured<'_>) -> Result<()> {
    let whole = batch(u)?;
    let batches = cut(u, &whole)?;
    let Some(mut stream) = encode(u, &batches)? else { return Ok(()) };
    let edits = u.int_in_range(0..=FEW)?;
    let (stream, is_sound) = &mut stream;
    if edits == 0 && *is_sound {
        assert_reads(stream, &batches);
        return Ok(());
    }
    for _ in 0..edits {
        edit(u, stream)?;
    }
    crate::ipc_raw::run(stream);
    Ok(())
}

fn batch(u: &mut Unstructured<'_>) -> Result<RecordBatch> {
    let rows = u.int_in_range(0..=ROWS)?;
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for n in 0..u.int_in_range(0..=COLUMNS)? {
        let array = columns::column(u, rows, 0)?;
        let nullable = array.is_nullable() || u.arbitrary()?;
        fields.push(Field::new(format!("c{n}"), array.data_type().clone(), nullable));
        arrays.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options);
    Ok(batch.expect("columns of one length"))
}

/// Slices that begin and end anywhere, each with its metadata.
fn cut(u: &mut Unstructured<'_>, whole: &RecordBatch) -> Result<Vec<(RecordBatch, Metadata)>> {
    (0..u.int_in_range(1..=FEW)?)
        .map(|_| {
            let from = u.int_in_range(0..=whole.num_rows())?;
            let len = u.int_in_range(0..=whole.num_rows() - from)?;
            let mut metadata = Metadata::new();
            for _ in 0..u.int_in_range(0..=FEW)? {
                metadata.push(u.arbitrary::<&[u8]>()?, u.arbitrary::<&[u8]>()?);
            }
            Ok((whole.slice(from, len), metadata))
        })
        .collect()
}

/// Returns the stream, written by this project or by Arrow with compressed bodies, and whether it must be readable;
/// `None` if it cannot be written.
fn encode(u: &mut Unstructured<'_>, batches: &[(RecordBatch, Metadata)]) -> Result<Option<(Vec<u8>, bool)>> {
    let schema = batches[0].0.schema();
    let codec = match u.int_in_range(0..=3)? {
        0 | 1 => {
            let Ok(schema) = EncodedSchema::new(schema) else { return Ok(None) };
            let (mut encoder, mut outbox) = (BatchEncoder::default(), Outbox::default());
            encoder.open(&schema, &mut outbox);
            for (batch, metadata) in batches {
                if encoder.write(batch, metadata, &mut outbox).is_err() {
                    return Ok(None);
                }
            }
            encoder.close(&mut outbox);
            return Ok(Some((outbox.copy_to_bytes(outbox.len()).to_vec(), true)));
        }
        2 => CompressionType::LZ4_FRAME,
        _ => CompressionType::ZSTD,
    };
    let options =
        IpcWriteOptions::default().try_with_compression(Some(codec)).expect("both codecs are enabled");
    let Ok(mut writer) = StreamWriter::try_new_with_options(Vec::new(), &schema, options) else {
        return Ok(None);
    };
    for (batch, _) in batches {
        if writer.write(batch).is_err() {
            return Ok(None);
        }
    }
    // Arrow 60 miscounts the buffers of empty slices of runs of views.
    let is_sound = !schema.fields().iter().any(|field| has_runs(field));
    Ok(writer.into_inner().ok().map(|stream| (stream, is_sound)))
}

fn has_runs(field: &Field) -> bool {
    match field.data_type() {
        DataType::RunEndEncoded(..) => true,
        DataType::List(child)
        | DataType::LargeList(child)
        | DataType::ListView(child)
        | DataType::FixedSizeList(child, _)
        | DataType::Map(child, _) => has_runs(child),
        DataType::Struct(children) => children.iter().any(|child| has_runs(child)),
        DataType::Union(children, _) => children.iter().any(|(_, child)| has_runs(child)),
        DataType::Dictionary(_, values) => matches!(**values, DataType::RunEndEncoded(..)),
        _ => false,
    }
}

fn assert_reads(stream: &[u8], written: &[(RecordBatch, Metadata)]) {
    let mut reader = Reader::new(limits());
    reader.receive(Bytes::copy_from_slice(stream));
    let mut left = written.iter();
    loop {
        let item = reader.next_item();
        match item.unwrap_or_else(|error| panic!("what was written can be read: {error}, {:?}", written[0].0))
        {
            Some(Item::Schema(_)) => {}
            Some(Item::Batch(batch, metadata)) => {
                let (expected, with) = left.next().expect("no more batches than were written");
                assert_eq!(&batch, expected);
                // Arrow's own writer cannot write it.
                assert!(metadata == *with || metadata.is_empty());
                crate::ipc_raw::check_batch(&batch, &metadata);
            }
            Some(Item::EndOfStream) => break,
            None => panic!("a complete stream has its end"),
        }
    }
    assert!(left.next().is_none() && reader.is_at_boundary());
}

/// One change of the bytes.
fn edit(u: &mut Unstructured<'_>, stream: &mut Vec<u8>) -> Result<()> {
    let at = u.int_in_range(0..=stream.len().saturating_sub(1))?;
    match u.int_in_range(0..=6)? {
        0 => stream.truncate(at),
        1 => {
            let until = u.int_in_range(at..=stream.len())?;
            stream.drain(at..until);
        }
        2 => {
            let until = u.int_in_range(at..=stream.len())?;
            stream.extend_from_within(at..until);
        }
        3 => {
            // A number at an aligned position.
            let (at, value) = (at & !3, u.arbitrary::<u32>()?.to_le_bytes());
            stream.iter_mut().skip(at).zip(value).for_each(|(byte, value)| *byte = value);
        }
        4 => {
            let (at, value) = (at & !7, u.arbitrary::<u64>()?.to_le_bytes());
            stream.iter_mut().skip(at).zip(value).for_each(|(byte, value)| *byte = value);
        }
        5 => stream.iter_mut().skip(at).take(1).for_each(|byte| *byte = byte.wrapping_add(1)),
        _ => {
            let value = u.arbitrary()?;
            stream.iter_mut().skip(at).take(1).for_each(|byte| *byte = value);
        }
    }
    Ok(())
}
