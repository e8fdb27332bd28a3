//! cuBLAS, where it is installed: products of large matrices as fast as the device can. The program neither has nor needs it; without it the
//! kernels of `kernels/matmul.cu` take them.

use std::env;
use std::ffi::{OsStr, c_int, c_void};
use std::ptr;
use std::sync::{Mutex, PoisonError};

use libloading::Library;

use super::machine::Product;

/// What is looked for. One that is too new for the driver does not start.
const NAMES: [&str; 3] = ["libcublas.so.12", "libcublas.so.13", "libcublas.so.11"];
/// An environment variable with the path of another one. Nothing is loaded where it is empty.
const PATH: &str = "BENCH_CUBLAS";

/// `cublasOperation_t`.
const AS_IT_IS: c_int = 0;
const TRANSPOSED: c_int = 1;
/// `cudaDataType_t`.
const F32: c_int = 0;
const BF16: c_int = 14;
/// `CUBLAS_COMPUTE_32F`.
const SUMS_IN_F32: c_int = 68;
/// `CUBLAS_GEMM_DEFAULT`.
const ANY_ALGORITHM: c_int = -1;
/// `CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION`.
const NO_SUMS_IN_BF16: c_int = 16;

type Handle = *mut c_void;
type Create = unsafe extern "C" fn(*mut Handle) -> c_int;
type Destroy = unsafe extern "C" fn(Handle) -> c_int;
type SetStream = unsafe extern "C" fn(Handle, *mut c_void) -> c_int;
type SetMathMode = unsafe extern "C" fn(Handle, c_int) -> c_int;
/// handle, op(A), op(B), m, n, k, alpha, A, its type, lda, B, its type, ldb, beta, C, its type, ldc, the type of sums, algorithm.
type GemmEx = unsafe extern "C" fn(
    Handle,
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    *const c_void,
    *const c_void,
    c_int,
    c_int,
    *const c_void,
    c_int,
    c_int,
    *const c_void,
    *mut c_void,
    c_int,
    c_int,
    c_int,
    c_int,
) -> c_int;

/// A [`Product`] in the terms of cuBLAS, which takes matrices column by column: `C (m, n) = beta C + op(A) op(B)`, where element (i, j) of a
/// matrix as it is stored is at `i + j * ld`.
///
/// Rows of ours are columns of theirs, so our C (m, n) is their C (n, m), the transpose: `C^T = B^T A^T`. Their A is our B and their B is our A,
/// which, stored (m, k) by rows, is (k, m) by columns and so `A^T` as it is. Our B stored (k, n) by rows is (n, k) by columns, `B^T` as it is;
/// stored (n, k) by rows it is (k, n) by columns, which has to be transposed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gemm {
    /// Whether A and B are to be transposed.
    pub transposed: (bool, bool),
    /// m, n and k.
    pub sizes: (i32, i32, i32),
    /// A, and the distance of its columns.
    pub a: (u64, i32),
    /// B, and the distance of its columns.
    pub b: (u64, i32),
    /// C, and the distance of its columns.
    pub c: (u64, i32),
    /// What C is multiplied with before the product is added.
    pub beta: f32,
}

impl Gemm {
    /// Where its sizes are numbers that cuBLAS takes.
    #[must_use]
    pub fn of(product: &Product) -> Option<Self> {
        let size = |n: usize| i32::try_from(n).ok().filter(|n| *n > 0);
        let (m, n, k) = product.sizes;
        let (m, n, k) = (size(m)?, size(n)?, size(k)?);
        Some(Self {
            transposed: (product.transposed, false),
            sizes: (n, m, k),
            a: (product.b, if product.transposed { k } else { n }),
            b: (product.a, k),
            c: (product.c, n),
            beta: if product.sum { 1.0 } else { 0.0 },
        })
    }
}

/// cuBLAS on a stream.
pub struct Blas {
    /// Calls on one handle come one after the other.
    handle: Mutex<Opened>,
    gemm: GemmEx,
    destroy: Destroy,
    /// What the functions are in.
    _library: Library,
}

struct Opened(Handle);

// SAFETY: a handle may be used from any thread, by one at a time.
unsafe impl Send for Opened {}

impl Blas {
    /// The one that the user has named, or that is installed, if there is one that works with the driver. Its context has to be current.
    ///
    /// # Safety
    /// The stream is one of the current context, and outlives this.
    ///
    /// # Errors
    /// If the user has named one that does not work.
    pub unsafe fn start(stream: *mut c_void) -> Result<Option<Self>, String> {
        match env::var_os(PATH) {
            Some(path) if path.is_empty() => Ok(None),
            // SAFETY: the user has named the library, and the stream is as above.
            Some(path) => unsafe { Self::load(&path, stream) }
                .map(Some)
                .map_err(|said| format!("{PATH} names {}, which does not work: {said}", path.display())),
            // SAFETY: as above, the libraries of NVIDIA.
            None => Ok(NAMES.iter().find_map(|name| unsafe { Self::load(name.as_ref(), stream) }.ok())),
        }
    }

    unsafe fn load(name: &OsStr, stream: *mut c_void) -> Result<Self, String> {
        let missing = |error: libloading::Error| error.to_string();
        let done = |status| if status == 0 { Ok(()) } else { Err(text(status)) };
        // SAFETY: the functions have these types in all versions of the library since 11.
        unsafe {
            let library = Library::new(name).map_err(missing)?;
            let create = *library.get::<Create>(b"cublasCreate_v2").map_err(missing)?;
            let destroy = *library.get::<Destroy>(b"cublasDestroy_v2").map_err(missing)?;
            let set_stream = *library.get::<SetStream>(b"cublasSetStream_v2").map_err(missing)?;
            let set_math_mode = *library.get::<SetMathMode>(b"cublasSetMathMode").map_err(missing)?;
            let gemm = *library.get::<GemmEx>(b"cublasGemmEx").map_err(missing)?;
            let mut handle = ptr::null_mut();
            done(create(&raw mut handle))?;
            // From here on it is given back when it is dropped.
            let blas = Self { handle: Mutex::new(Opened(handle)), gemm, destroy, _library: library };
            done(set_stream(handle, stream))?;
            done(set_math_mode(handle, NO_SUMS_IN_BF16))?;
            Ok(blas)
        }
    }

    /// Take a product, with sums in f32. Whether it can be taken here: sizes may be too large or 0.
    ///
    /// # Safety
    /// The matrices are on the device, whose context is current.
    ///
    /// # Errors
    /// What the library said.
    pub unsafe fn product(&self, product: &Product) -> Result<bool, String> {
        let Some(Gemm { transposed, sizes, a, b, c, beta }) = Gemm::of(product) else { return Ok(false) };
        let operation = |transposed| if transposed { TRANSPOSED } else { AS_IT_IS };
        let ((m, n, k), alpha) = (sizes, 1.0f32);
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: whoever asks has the matrices there; factors are on the host, which is what a new handle expects, and read before this
        // returns.
        let status = unsafe {
            (self.gemm)(
                handle.0,
                operation(transposed.0),
                operation(transposed.1),
                m,
                n,
                k,
                (&raw const alpha).cast(),
                a.0 as *const c_void,
                BF16,
                a.1,
                b.0 as *const c_void,
                BF16,
                b.1,
                (&raw const beta).cast(),
                c.0 as *mut c_void,
                if product.half { BF16 } else { F32 },
                c.1,
                SUMS_IN_F32,
                ANY_ALGORITHM,
            )
        };
        match status {
            0 => Ok(true),
            // It has no kernel for this device or these sizes.
            8 | 15 => Ok(false),
            _ => Err(format!("cuBLAS failed: {}; an empty {PATH} does without it", text(status))),
        }
    }
}

impl Drop for Blas {
    fn drop(&mut self) {
        let handle = self.handle.get_mut().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: it was created here, and nobody uses it any more.
        let _ = unsafe { (self.destroy)(handle.0) };
    }
}

/// `cublasStatus_t`.
fn text(status: c_int) -> String {
    let name = match status {
        1 => "CUBLAS_STATUS_NOT_INITIALIZED",
        3 => "CUBLAS_STATUS_ALLOC_FAILED",
        7 => "CUBLAS_STATUS_INVALID_VALUE",
        8 => "CUBLAS_STATUS_ARCH_MISMATCH",
        11 => "CUBLAS_STATUS_MAPPING_ERROR",
        13 => "CUBLAS_STATUS_EXECUTION_FAILED",
        14 => "CUBLAS_STATUS_INTERNAL_ERROR",
        15 => "CUBLAS_STATUS_NOT_SUPPORTED",
        16 => "CUBLAS_STATUS_LICENSE_ERROR",
        other => return format!("status {other}"),
    };
    name.to_owned()
}
