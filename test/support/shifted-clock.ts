import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BoardHost } from "#tools/local-cluster/board.ts";

const source = join(import.meta.dir, "../fixtures/shifted-clock.c");
/** On each board a file of its own. */
const shiftFile = "/run/shifted-clock";

/** A program that runs `binary` with a wall clock that is `seconds` from this machine's until `shiftClock` sets it, of each board
 *  its own. */
export function withShiftedClock(binary: string, dir: string, seconds: number): string {
  mkdirSync(dir, { recursive: true });
  const library = join(dir, "shifted-clock.so");
  execFileSync("gcc", ["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, source, "-ldl", "-pthread"]);
  const program = join(dir, "bramble");
  writeFileSync(
    program,
    `#!/bin/sh
[ -s ${shiftFile} ] || ${writing(seconds)}
SHIFTED_CLOCK=${shiftFile} LD_PRELOAD=${library} exec ${binary} "$@"
`,
  );
  chmodSync(program, 0o755);
  return program;
}

/** From now on the clock that Bramble sees on this board is so far from this machine's. */
export function shiftClock(board: BoardHost, seconds: number): void {
  board.exec(["sh", "-c", writing(seconds)]);
}

/** In place: processes have the file mapped. */
function writing(seconds: number): string {
  const shift = Buffer.alloc(8);
  shift.writeBigInt64LE(BigInt(seconds) * 1_000_000_000n);
  const octal = [...shift].map((byte) => `\\0${byte.toString(8)}`).join("");
  return `printf '%b' '${octal}' | dd of=${shiftFile} conv=notrunc status=none`;
}
