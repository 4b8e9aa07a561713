//! What a component's modules ask for before they run: memory and tables.

use wasmparser::{Parser, Payload};

const PAGE_BYTES: u64 = 64 * 1024;

/// The sums over all core modules of a component.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Footprint {
    pub initial_memory_bytes: u64,
    /// None: as much as the host allows.
    pub maximum_memory_bytes: Option<u64>,
    pub table_elements: u64,
}

/// Of a component that has been validated; what cannot be read counts as nothing.
pub fn footprint(wasm: &[u8]) -> Footprint {
    let mut footprint = Footprint { maximum_memory_bytes: Some(0), ..Footprint::default() };
    for payload in Parser::new(0).parse_all(wasm).flatten() {
        match payload {
            Payload::MemorySection(memories) => {
                for memory in memories.into_iter().flatten() {
                    footprint.initial_memory_bytes += memory.initial * PAGE_BYTES;
                    let sum = footprint.maximum_memory_bytes.zip(memory.maximum);
                    footprint.maximum_memory_bytes = sum.map(|(sum, pages)| sum + pages * PAGE_BYTES);
                }
            }
            Payload::TableSection(tables) => {
                footprint.table_elements += tables.into_iter().flatten().map(|table| table.ty.initial).sum::<u64>();
            }
            _ => {}
        }
    }
    footprint
}
