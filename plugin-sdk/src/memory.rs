//! Where a component's memory comes from.
//!
//! A call makes and drops some dozens of short texts and keeps nothing, and the standard library's allocator for wasm
//! takes a tenth of a short call for that. Here, small pieces come in a few sizes, each with a list of free ones, so
//! that taking and giving back are a few instructions. What is large goes to the standard allocator, as do the blocks
//! that small pieces are cut from; blocks are never given back, as the next call will want the same.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;

/// Sizes of small pieces: 16 bytes and each double, up to 4 KiB.
const SIZES: usize = 9;
const SMALLEST: usize = 16;
const LARGEST: usize = SMALLEST << (SIZES - 1);
/// What small pieces are cut from.
const BLOCK: usize = 32 * 1024;

/// The allocator of every component that is made with this crate.
#[global_allocator]
static MEMORY: Memory =
    Memory(UnsafeCell::new(Lists { free: [ptr::null_mut(); SIZES], rest: ptr::null_mut(), left: 0 }));

struct Memory(UnsafeCell<Lists>);

struct Lists {
    /// For each size, a free piece whose first word points to the next one.
    free: [*mut u8; SIZES],
    /// What is left of the newest block.
    rest: *mut u8,
    left: usize,
}

// A component has one thread.
unsafe impl Sync for Memory {}

unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match size_of(layout) {
            Some(size) => unsafe { (*self.0.get()).take(size) },
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        match size_of(layout) {
            Some(size) => unsafe { (*self.0.get()).give_back(piece, size) },
            None => unsafe { System.dealloc(piece, layout) },
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        let larger = unsafe { Layout::from_size_align_unchecked(bytes, layout.align()) };
        match (size_of(layout), size_of(larger)) {
            (Some(size), Some(new_size)) if size == new_size => piece,
            (None, None) => unsafe { System.realloc(piece, layout, bytes) },
            _ => unsafe {
                let new = self.alloc(larger);
                if !new.is_null() {
                    ptr::copy_nonoverlapping(piece, new, layout.size().min(bytes));
                    self.dealloc(piece, layout);
                }
                new
            },
        }
    }
}

/// Which of the sizes; None for what is large, or must lie where no small piece lies.
fn size_of(layout: Layout) -> Option<usize> {
    if layout.size() > LARGEST || layout.align() > SMALLEST {
        return None;
    }
    let bytes = layout.size().max(SMALLEST).next_power_of_two();
    Some((bytes / SMALLEST).trailing_zeros() as usize)
}

impl Lists {
    unsafe fn take(&mut self, size: usize) -> *mut u8 {
        let piece = self.free[size];
        if piece.is_null() {
            return unsafe { self.cut(SMALLEST << size) };
        }
        self.free[size] = unsafe { piece.cast::<*mut u8>().read() };
        piece
    }

    unsafe fn give_back(&mut self, piece: *mut u8, size: usize) {
        unsafe { piece.cast::<*mut u8>().write(self.free[size]) };
        self.free[size] = piece;
    }

    /// A new piece from the block. What is left of a block that is too short for it is lost, which is less than one
    /// piece of the largest size.
    unsafe fn cut(&mut self, bytes: usize) -> *mut u8 {
        if self.left < bytes {
            let block = unsafe { System.alloc(Layout::from_size_align_unchecked(BLOCK, SMALLEST)) };
            if block.is_null() {
                return block;
            }
            (self.rest, self.left) = (block, BLOCK);
        }
        let piece = self.rest;
        self.rest = unsafe { piece.add(bytes) };
        self.left -= bytes;
        piece
    }
}
