//! The header of a segment: a list of the regions that are in use. WIRE_PROTOCOL 11, "Segment header format" and "Allocation
//! strategy".
//!
//! ```text
//! offset  bytes  field (little-endian)
//! 0       4      "VGIS"
//! 4       4      version, 1
//! 8       8      bytes of the data behind the header
//! 16      4      number of regions
//! 20      4      zero
//! 24      16 n   regions in order: offset from the start of the segment, length
//! ```

use super::access::SharedMemory;
use super::error::HeaderError;
use super::layout::{HEADER_BYTES, MAX_REGIONS};

const MAGIC: [u8; 4] = *b"VGIS";
const VERSION: u32 = 1;
/// The position of the number of regions.
const COUNT_AT: u64 = 16;
/// The position of the regions.
const REGIONS_AT: u64 = 24;
/// The size of a region's entry.
const ENTRY_BYTES: usize = 16;
/// The alignment of regions, so that the arrays in them are aligned as Arrow recommends.
const ALIGNMENT: u64 = 64;

/// A region that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Region {
    /// The offset from the start of the segment.
    pub offset: u64,
    /// The length in bytes.
    pub len: u64,
}

impl Region {
    /// Returns the first byte after it, if that does not overflow.
    fn end(self) -> Option<u64> {
        self.offset.checked_add(self.len)
    }
}

/// A checked copy of a segment's header: the regions are in order, do not overlap, and are within the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The size of the segment.
    len: u64,
    regions: Vec<Region>,
}

impl Header {
    /// Writes the header of a segment without regions.
    ///
    /// # Errors
    /// If the segment is too short, or cannot be written.
    pub fn initialise(memory: &dyn SharedMemory) -> Result<Self, HeaderError> {
        let len = memory.len();
        let mut bytes = [0; REGIONS_AT as usize];
        let (magic, rest) = bytes.split_at_mut(4);
        let (version, rest) = rest.split_at_mut(4);
        let (size, _) = rest.split_at_mut(8);
        magic.copy_from_slice(&MAGIC);
        version.copy_from_slice(&VERSION.to_le_bytes());
        size.copy_from_slice(&data_size(len)?.to_le_bytes());
        memory.write_at(0, &bytes)?;
        Ok(Self { len, regions: Vec::new() })
    }

    /// Reads and checks the header of a segment. All of it is copied before it is checked, except for the number of regions,
    /// which is copied first.
    ///
    /// # Errors
    /// If it is invalid, or the segment cannot be read.
    pub fn read(memory: &dyn SharedMemory) -> Result<Self, HeaderError> {
        let len = memory.len();
        let expected = data_size(len)?;
        let mut fixed = [0; REGIONS_AT as usize];
        memory.read_at(0, &mut fixed)?;
        let [m0, m1, m2, m3, v0, v1, v2, v3, rest @ ..] = fixed;
        let [s0, s1, s2, s3, s4, s5, s6, s7, c0, c1, c2, c3, ..] = rest;
        let magic = [m0, m1, m2, m3];
        if magic != MAGIC {
            return Err(HeaderError::Magic(magic));
        }
        let version = u32::from_le_bytes([v0, v1, v2, v3]);
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let got = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        if got != expected {
            return Err(HeaderError::DataSize { expected, got });
        }
        let count = u32::from_le_bytes([c0, c1, c2, c3]);
        if count > MAX_REGIONS {
            return Err(HeaderError::Count(count));
        }
        let mut entries = vec![0; count as usize * ENTRY_BYTES];
        memory.read_at(REGIONS_AT, &mut entries)?;
        let mut from = HEADER_BYTES;
        let regions = entries.as_chunks::<ENTRY_BYTES>().0.iter().enumerate().map(|(index, entry)| {
            let region = decode(entry);
            match region.end() {
                Some(end) if region.offset >= from && end <= len => {
                    from = end;
                    Ok(region)
                }
                _ => {
                    let Region { offset, len: bytes } = region;
                    Err(HeaderError::Region { index, from, to: len, offset, len: bytes })
                }
            }
        });
        let regions = regions.collect::<Result<_, _>>()?;
        Ok(Self { len, regions })
    }

    /// Returns the regions that are in use, in order.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// Allocates the first gap of at least `len` bytes, and writes that to the segment. Returns `None` if there is no such gap,
    /// or the header is full.
    ///
    /// # Errors
    /// If the segment cannot be written.
    pub fn allocate(&mut self, len: u64, memory: &dyn SharedMemory) -> Result<Option<Region>, HeaderError> {
        if len == 0 || self.regions.len() >= MAX_REGIONS as usize {
            return Ok(None);
        }
        let Some((index, offset)) = self.first_gap(len) else { return Ok(None) };
        let region = Region { offset, len };
        self.regions.insert(index, region);
        self.write(index, memory)?;
        Ok(Some(region))
    }

    /// Frees these regions, and writes that to the segment. An entry may be longer than its region: the canonical implementation
    /// allocates more than it writes. Regions without an entry at their offset, or with a shorter one, are skipped.
    ///
    /// # Errors
    /// If the segment cannot be written.
    pub fn release(&mut self, released: &[Region], memory: &dyn SharedMemory) -> Result<(), HeaderError> {
        let mut released = released.to_vec();
        released.sort_unstable_by_key(|region| (region.offset, region.len));
        let ends = |entry: &Region| {
            // The shortest one at that offset.
            let index = released.partition_point(|region| region.offset < entry.offset);
            released.get(index).is_some_and(|found| found.offset == entry.offset && found.len <= entry.len)
        };
        let Some(first) = self.regions.iter().position(ends) else { return Ok(()) };
        self.regions.retain(|region| !ends(region));
        self.write(first, memory)
    }

    /// Returns whether this region is in use.
    pub fn is_in_use(&self, region: Region) -> bool {
        let found = self.regions.binary_search_by_key(&region.offset, |entry| entry.offset);
        found.is_ok_and(|index| self.regions.get(index) == Some(&region))
    }

    /// Returns the offset of the first gap of at least `len` bytes, and the index of the region after it.
    fn first_gap(&self, len: u64) -> Option<(usize, u64)> {
        let starts = self.regions.iter().map(|region| region.offset).chain([self.len]);
        let ends = [HEADER_BYTES].into_iter().chain(self.regions.iter().filter_map(|region| region.end()));
        starts.zip(ends).enumerate().find_map(|(index, (to, from))| {
            let offset = from.checked_next_multiple_of(ALIGNMENT)?;
            (to.checked_sub(offset)? >= len).then_some((index, offset))
        })
    }

    /// Writes the regions from this one on, and then their number.
    fn write(&self, from: usize, memory: &dyn SharedMemory) -> Result<(), HeaderError> {
        let changed = self.regions.get(from..).unwrap_or_default();
        let entries: Vec<u8> = changed.iter().copied().flat_map(encode).collect();
        memory.write_at(REGIONS_AT + (from * ENTRY_BYTES) as u64, &entries)?;
        // At most 4094.
        let count = u32::try_from(self.regions.len()).unwrap_or(MAX_REGIONS);
        Ok(memory.write_at(COUNT_AT, &count.to_le_bytes())?)
    }
}

/// Returns the size of the data of a segment.
fn data_size(len: u64) -> Result<u64, HeaderError> {
    match len.checked_sub(HEADER_BYTES) {
        Some(size) if size > 0 => Ok(size),
        _ => Err(HeaderError::TooShort { len }),
    }
}

fn decode(entry: &[u8; ENTRY_BYTES]) -> Region {
    let entry = u128::from_le_bytes(*entry);
    // The lower half is the offset, which comes first.
    Region { offset: entry as u64, len: (entry >> 64) as u64 }
}

fn encode(region: Region) -> [u8; ENTRY_BYTES] {
    (u128::from(region.offset) | u128::from(region.len) << 64).to_le_bytes()
}
