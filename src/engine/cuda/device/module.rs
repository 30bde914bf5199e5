//! Kernels: modules of them, functions, launches.

use std::{
    ffi::{CString, c_void},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use cudarc::driver::sys;

use super::{Context, CudaError, Memory, driver};

/// More dynamic shared memory than this must be asked for.
const SHARED_BY_DEFAULT: u32 = 48 * 1024;
const LARGEST_GRID: [u32; 3] = [i32::MAX as u32, 65535, 65535];

/// Kernels that were loaded together.
#[derive(Debug)]
pub struct Module {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    context: Arc<Context>,
    raw: sys::CUmodule,
}

// SAFETY: the driver lets any thread use a module; it does not change.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a module on {:?}", self.context)
    }
}

impl Module {
    pub(super) fn new(context: &Arc<Context>, image: &[u8]) -> Result<Self, CudaError> {
        const CALL: &str = "cuModuleLoadData";
        check_image(image).map_err(|why| CudaError::refused(CALL, why))?;
        let mut raw = std::ptr::null_mut();
        // The driver reads words of 8 bytes, and bytes that were built in may lie anywhere.
        let aligned: Vec<u64> = image
            .chunks(8)
            .map(|bytes| {
                let mut word = [0; 8];
                word[..bytes.len()].copy_from_slice(bytes);
                u64::from_ne_bytes(word)
            })
            .collect();
        let address = aligned.as_ptr().cast::<c_void>();
        // SAFETY: a place for one pointer; the image says its own length, which was compared, or ends with a zero.
        context.call(|| unsafe { driver::cuModuleLoadData(&raw mut raw, address) })?;
        Ok(Self {
            inner: Arc::new(Inner {
                context: Arc::clone(context),
                raw,
            }),
        })
    }

    /// The kernel of that name.
    ///
    /// # Errors
    /// There is none, or it takes other than one argument.
    pub fn function(&self, name: &str) -> Result<Function, CudaError> {
        const CALL: &str = "cuModuleGetFunction";
        let c_name = CString::new(name)
            .map_err(|_| CudaError::refused(CALL, "a kernel's name holds no zero byte"))?;
        let context = &self.inner.context;
        let mut raw = std::ptr::null_mut();
        context
            // SAFETY: a place for one pointer; the name ends with a zero.
            .call(|| unsafe {
                driver::cuModuleGetFunction(&raw mut raw, self.inner.raw, c_name.as_ptr())
            })
            .map_err(|error| error.about(name))?;
        let (mut offset, mut bytes) = (0, 0);
        let mut parameter = |index| {
            // SAFETY: places for two numbers.
            context.call(|| unsafe {
                driver::cuFuncGetParamInfo(raw, index, &raw mut offset, &raw mut bytes)
            })
        };
        let more = parameter(1).is_ok();
        parameter(0)?;
        if more || offset != 0 {
            return Err(CudaError::refused(CALL, "it takes more than one argument").about(name));
        }
        let mut threads = 0;
        let most = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK;
        // SAFETY: a place for one number.
        context.call(|| unsafe { driver::cuFuncGetAttribute(&raw mut threads, most, raw) })?;
        Ok(Function {
            module: Arc::clone(&self.inner),
            raw,
            name: name.to_owned(),
            bytes,
            threads: u32::try_from(threads).unwrap_or(0),
            shared: AtomicU32::new(SHARED_BY_DEFAULT),
        })
    }
}

/// Whether an image can be kernels, and ends where it says.
fn check_image(image: &[u8]) -> Result<(), String> {
    // The wrapper of a fat binary (`fatBinaryHeader`): magic, version, header's size, then the size of what follows.
    if let Some(rest) = image.strip_prefix(&[0x50, 0xED, 0x55, 0xBA]) {
        let header = rest.get(2..4).and_then(|b| b.try_into().ok());
        let body = rest.get(4..12).and_then(|b| b.try_into().ok());
        let (Some(header), Some(body)) = (header, body) else {
            return Err("the fat binary is cut off".to_owned());
        };
        let whole = u64::from(u16::from_le_bytes(header)).saturating_add(u64::from_le_bytes(body));
        if whole > image.len() as u64 {
            let have = image.len();
            return Err(format!(
                "the fat binary is cut off: it says {whole} bytes, and has {have}"
            ));
        }
        return Ok(());
    }
    if image.starts_with(b"\x7fELF") {
        return check_elf(image);
    }
    if image.last() == Some(&0) && image.is_ascii() && !image.starts_with(b"\0") {
        return Ok(());
    }
    Err("this is no fat binary, no cubin, and no PTX with a zero at its end".to_owned())
}

/// Whether a cubin (an ELF file of 64 bits) holds its sections: the driver is not told how long it is.
fn check_elf(image: &[u8]) -> Result<(), String> {
    let number = |at: usize, bytes: usize| -> Option<u64> {
        let held = image.get(at..at.checked_add(bytes)?)?;
        let mut all = [0; 8];
        all.get_mut(..bytes)?.copy_from_slice(held);
        Some(u64::from_le_bytes(all))
    };
    let place = |value: u64| usize::try_from(value).ok();
    let length = image.len() as u64;
    // e_shoff, e_shentsize, e_shnum; of each section sh_type (8 is one without bytes), sh_offset, sh_size.
    let whole = || {
        let (table, size, count) = (number(40, 8)?, number(58, 2)?, number(60, 2)?);
        if table.checked_add(size * count)? > length || size < 64 {
            return None;
        }
        (0..count).try_for_each(|at| {
            let section = place(table + at * size)?;
            let (kind, from, bytes) = (
                number(section + 4, 4)?,
                number(section + 24, 8)?,
                number(section + 32, 8)?,
            );
            (kind == 8 || from.checked_add(bytes)? <= length).then_some(())
        })
    };
    whole().ok_or_else(|| "the cubin is cut off, or no file of this kind".to_owned())
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.context.free_when_idle("a module", || {
            // SAFETY: loaded in `Module::new`, unloaded only here, and none of its kernels runs.
            unsafe { driver::cuModuleUnload(self.raw) }
        });
    }
}

/// A kernel. It takes one structure, by value.
pub struct Function {
    module: Arc<Inner>,
    raw: sys::CUfunction,
    name: String,
    bytes: usize,
    threads: u32,
    /// How much dynamic shared memory was asked for so far.
    shared: AtomicU32,
}

// SAFETY: the driver lets any thread use a function of a module that is kept.
unsafe impl Send for Function {}
// SAFETY: as above; what changes is atomic.
unsafe impl Sync for Function {}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the kernel {} ({} bytes)", self.name, self.bytes)
    }
}

impl Function {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The length of its arguments in bytes.
    pub fn argument_bytes(&self) -> usize {
        self.bytes
    }

    /// The most threads that a block of it may have.
    pub fn most_threads(&self) -> u32 {
        self.threads
    }

    pub(super) fn context(&self) -> &Arc<Context> {
        &self.module.context
    }

    pub(super) fn module(&self) -> &Arc<Inner> {
        &self.module
    }
}

/// Where an address goes into a kernel's arguments.
#[derive(Debug, Clone, Copy)]
pub struct Argument<'a> {
    /// The place of its 8 bytes in the arguments.
    pub at: usize,
    /// The memory whose address it is.
    pub memory: &'a Memory,
    /// Added to the address; may be the memory's length, where nothing is read.
    pub offset: usize,
}

/// A kernel with its shape and arguments.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// What to run.
    pub function: &'a Function,
    /// Blocks in x, y, z.
    pub grid: [u32; 3],
    /// Threads of a block in x, y, z.
    pub block: [u32; 3],
    /// Dynamic shared memory of a block, in bytes.
    pub shared: u32,
    /// The argument's bytes, in the layout of `kernels/args.cuh`; addresses are still zero.
    pub params: &'a [u8],
    /// The addresses.
    pub arguments: &'a [Argument<'a>],
}

const CALL: &str = "cuLaunchKernel";

impl Launch<'_> {
    /// Checks it and queues it.
    pub(super) fn queue(
        &self,
        queue: impl FnOnce(&mut dyn FnMut() -> Result<(), CudaError>) -> Result<(), CudaError>,
        stream: sys::CUstream,
    ) -> Result<(), CudaError> {
        let about = |error: CudaError| error.about(&self.function.name);
        self.check_shape()
            .map_err(|why| about(CudaError::refused(CALL, why)))?;
        let mut bytes = self.filled().map_err(about)?;
        self.ask_for_shared().map_err(about)?;
        let function = self.function.raw;
        let ([gx, gy, gz], [bx, by, bz]) = (self.grid, self.block);
        let mut params = [bytes.as_mut_ptr().cast::<c_void>()];
        let params = params.as_mut_ptr();
        // SAFETY: the one argument has the size that the kernel takes; the driver copies it before it returns. Addresses
        // are those of memory that is freed only when the device is idle.
        queue(&mut || unsafe {
            driver::cuLaunchKernel(
                function,
                gx,
                gy,
                gz,
                bx,
                by,
                bz,
                self.shared,
                stream,
                params,
                std::ptr::null_mut(),
            )
        })
        .map_err(about)
    }

    fn check_shape(&self) -> Result<(), String> {
        let (grid, block) = (self.grid, self.block);
        if grid
            .iter()
            .zip(LARGEST_GRID)
            .any(|(&n, most)| n == 0 || n > most)
        {
            return Err(format!("a grid of {grid:?} blocks is out of range"));
        }
        let threads = block.iter().try_fold(1_u32, |all, &n| all.checked_mul(n));
        if !threads.is_some_and(|threads| (1..=self.function.threads).contains(&threads)) {
            let most = self.function.threads;
            return Err(format!(
                "a block of {block:?} threads is out of range: 1 to {most}"
            ));
        }
        if self.params.len() != self.function.bytes {
            let (given, wanted) = (self.params.len(), self.function.bytes);
            return Err(format!("it takes {wanted} bytes of arguments, not {given}"));
        }
        Ok(())
    }

    /// The arguments with their addresses.
    fn filled(&self) -> Result<Vec<u8>, CudaError> {
        let mut bytes = self.params.to_vec();
        for argument in self.arguments {
            let address = argument
                .memory
                .range(CALL, &(argument.offset..argument.offset))?;
            let end = argument.at.saturating_add(8);
            let Some(place) = bytes.get_mut(argument.at..end) else {
                let at = argument.at;
                let why = format!("there is no room for an address at byte {at} of its arguments");
                return Err(CudaError::refused(CALL, why));
            };
            place.copy_from_slice(&address.to_le_bytes());
        }
        Ok(bytes)
    }

    fn ask_for_shared(&self) -> Result<(), CudaError> {
        let function = self.function;
        if self.shared <= function.shared.load(Ordering::Relaxed) {
            return Ok(());
        }
        let limit = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        let bytes = i32::try_from(self.shared).unwrap_or(i32::MAX);
        function
            .context()
            // SAFETY: the function's module is kept by it.
            .call(|| unsafe { driver::cuFuncSetAttribute(function.raw, limit, bytes) })?;
        function.shared.fetch_max(self.shared, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cubin_that_is_cut_off_is_refused() {
        // A header, a table of one section behind it, and the section's 16 bytes.
        let mut whole = vec![0; 144];
        let mut put = |at: usize, bytes: &[u8]| whole[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"\x7fELF");
        put(40, &64_u64.to_le_bytes());
        put(58, &64_u16.to_le_bytes());
        put(60, &1_u16.to_le_bytes());
        put(64 + 4, &1_u32.to_le_bytes());
        put(64 + 24, &128_u64.to_le_bytes());
        put(64 + 32, &16_u64.to_le_bytes());
        assert_eq!(check_image(&whole), Ok(()));
        for end in [4, 40, 63, 100, 127, 143] {
            assert!(check_image(&whole[..end]).is_err(), "{end}");
        }
        whole[64 + 24..64 + 32].fill(0xFF);
        assert!(check_image(&whole).is_err());
    }
}
