/**
 * Whether SQLite's write-ahead log lost changes that had been acknowledged. SQLite itself cannot tell: it reads the log up
 * to the first frame whose checksum is wrong, since that is what a power cut leaves. But this store syncs each
 * transaction before the next begins, so a power cut leaves at most one transaction behind that frame; more of them were
 * on the disk once and are damaged now. Format: https://www.sqlite.org/fileformat2.html#walformat
 */

const header_bytes = 32;
const frameHeader_bytes = 24;
const bigEndianChecksums = 0x377f0683;
const littleEndianChecksums = 0x377f0682;

/** How many transactions lie behind the first damaged frame and can be read no more; 0 for a log that is whole, or that a
 *  power cut ended. Pure. */
export function lostTransactions(log: Buffer): number {
  if (log.length < header_bytes) return 0;
  const pageSize = log.readUInt32BE(8);
  const frame_bytes = frameHeader_bytes + pageSize;
  if (pageSize < 512 || pageSize > 65_536) return 0;
  const magic = log.readUInt32BE(0);
  const readWord = magic === bigEndianChecksums ? "readUInt32BE" : "readUInt32LE";
  let sums: Sums = checksum(log.subarray(0, 24), [0, 0], readWord);
  const isHeaderWhole =
    (magic === bigEndianChecksums || magic === littleEndianChecksums) && equals(sums, sumsAt(log, 24));
  // Without its header nobody knows which frames count: those of the same generation as the first do.
  const salts = isHeaderWhole ? log.subarray(16, 24) : log.subarray(header_bytes + 8, header_bytes + 16);
  let at = header_bytes;
  if (isHeaderWhole) {
    for (; at + frame_bytes <= log.length; at += frame_bytes) {
      if (!log.subarray(at + 8, at + 16).equals(salts)) return 0;
      sums = checksum(log.subarray(at, at + 8), sums, readWord);
      sums = checksum(log.subarray(at + frameHeader_bytes, at + frame_bytes), sums, readWord);
      if (!equals(sums, sumsAt(log, at + 16))) break;
    }
  }
  let behind = 0;
  for (; at + frame_bytes <= log.length; at += frame_bytes) {
    const ends = log.readUInt32BE(at + 4) !== 0;
    if (ends && log.subarray(at + 8, at + 16).equals(salts)) behind += 1;
  }
  return behind > 1 ? behind : 0;
}

type Sums = readonly [number, number];

const sumsAt = (log: Buffer, at: number): Sums => [log.readUInt32BE(at), log.readUInt32BE(at + 4)];
const equals = (a: Sums, b: Sums): boolean => a[0] === b[0] && a[1] === b[1];

function checksum(data: Buffer, [first, second]: Sums, readWord: "readUInt32BE" | "readUInt32LE"): Sums {
  let [a, b] = [first, second];
  for (let at = 0; at + 8 <= data.length; at += 8) {
    a = (a + data[readWord](at) + b) >>> 0;
    b = (b + data[readWord](at + 4) + a) >>> 0;
  }
  return [a, b];
}
