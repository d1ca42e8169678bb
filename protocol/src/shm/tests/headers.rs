//! Tests of the header: regions are allocated first fit, and freed.

use super::*;
use proptest::prelude::*;

/// Returns a segment with this many bytes of data.
fn memory(data: usize) -> Arc<dyn SharedMemory> {
    lend(&Memory::new(HEADER_BYTES as usize + data))
}

#[test]
fn a_new_header_has_the_bytes_of_the_specification() {
    let memory = Memory::new(HEADER_BYTES as usize + 4096);
    let lent = lend(&memory);
    let mut header = Header::initialise(&*lent).unwrap();
    header.allocate(100, &*lent).unwrap().unwrap();
    let bytes = memory.0.lock().unwrap()[..40].to_vec();
    assert_eq!(bytes[..8], *b"VGIS\x01\0\0\0");
    assert_eq!(bytes[8..24], [0, 16, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes[24..40], [0, 0, 1, 0, 0, 0, 0, 0, 100, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn gaps_are_filled_first_fit_and_in_order() {
    let memory = memory(1024);
    let mut header = Header::initialise(&*memory).unwrap();
    let regions: Vec<_> = (0..4).map(|_| header.allocate(256, &*memory).unwrap().unwrap()).collect();
    let offsets = regions.iter().map(|region| region.offset - HEADER_BYTES);
    assert_eq!(offsets.collect::<Vec<_>>(), [0, 256, 512, 768]);
    assert_eq!(header.allocate(1, &*memory).unwrap(), None);
    header.release(&regions[1..3], &*memory).unwrap();
    // Adjacent freed regions form one gap.
    let region = header.allocate(512, &*memory).unwrap().unwrap();
    assert_eq!(region.offset, HEADER_BYTES + 256);
    assert_eq!(Header::read(&*memory).unwrap(), header);
    assert_eq!(header.allocate(0, &*memory).unwrap(), None);
    header.release(&[Region { offset: 7, len: 1 }], &*memory).unwrap();
    assert_eq!(Header::read(&*memory).unwrap().regions().len(), 3);
}

#[test]
fn regions_of_others_need_not_be_aligned() {
    let memory = memory(1024);
    let mut header = Header::initialise(&*memory).unwrap();
    // The reference allocates exactly what was requested.
    memory.write_at(24, &(HEADER_BYTES.to_le_bytes())).unwrap();
    memory.write_at(32, &(101_u64.to_le_bytes())).unwrap();
    memory.write_at(16, &1_u32.to_le_bytes()).unwrap();
    assert_ne!(Header::read(&*memory).unwrap(), header);
    header = Header::read(&*memory).unwrap();
    assert_eq!(header.allocate(10, &*memory).unwrap().unwrap().offset, HEADER_BYTES + 128);
}

#[test]
fn a_full_header_has_no_room_whatever_the_segment_has() {
    let memory = memory(64 * 5000);
    let mut header = Header::initialise(&*memory).unwrap();
    for _ in 0..MAX_REGIONS {
        assert!(header.allocate(1, &*memory).unwrap().is_some());
    }
    assert_eq!(header.allocate(1, &*memory).unwrap(), None);
    let mut read = Header::read(&*memory).unwrap();
    assert_eq!(read.regions().len(), 4094);
    let first = read.regions()[0];
    read.release(&[first], &*memory).unwrap();
    assert_eq!(read.allocate(1, &*memory).unwrap().unwrap().offset, HEADER_BYTES);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Both sides allocate and free, based on what they read from the header.
    #[test]
    fn regions_never_overlap(steps in proptest::collection::vec((any::<bool>(), 1..3000_u64, any::<usize>()), 1..100)) {
        let memory = memory(16_384);
        Header::initialise(&*memory).unwrap();
        let mut used: Vec<Region> = Vec::new();
        for (frees, len, which) in steps {
            let mut header = Header::read(&*memory).unwrap();
            prop_assert_eq!(header.regions(), {
                used.sort_by_key(|region| region.offset);
                &used[..]
            });
            if frees && !used.is_empty() {
                let region = used.remove(which % used.len());
                header.release(&[region], &*memory).unwrap();
            } else if let Some(region) = header.allocate(len, &*memory).unwrap() {
                prop_assert!(region.len >= len && region.offset >= HEADER_BYTES);
                used.push(region);
            }
        }
    }
}
