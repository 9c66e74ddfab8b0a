import { dlopen, FFIType, ptr } from "bun:ffi";

/** Puts another program into the place of this process: same PID, same standard streams, none of this program's memory.
 *  Returns only by throwing, where the program cannot be executed. @param path absolute. */
export function become(path: string, args: readonly string[], env: Readonly<Record<string, string>>): never {
  const libc = dlopen("libc.so.6", {
    execve: { args: [FFIType.ptr, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
  });
  // Held until the kernel has copied them.
  const texts: Buffer[] = [];
  const pointerTo = (text: string): bigint => {
    const bytes = Buffer.from(`${text}\0`);
    texts.push(bytes);
    return BigInt(ptr(bytes));
  };
  const list = (items: readonly string[]): BigUint64Array => new BigUint64Array([...items.map(pointerTo), 0n]);
  const words = list([path, ...args]);
  const variables = list(Object.entries(env).map(([name, value]) => `${name}=${value}`));
  const program = Buffer.from(`${path}\0`);
  libc.symbols.execve(ptr(program), ptr(words), ptr(variables));
  throw new Error(`${path} cannot be executed (${texts.length} arguments and variables)`);
}
