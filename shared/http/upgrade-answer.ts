import type { Duplex } from "node:stream";

export const SWITCHED = 101;
/** Nobody needs more. */
const MAX_HEAD_BYTES = 64 * 1024;

/** What a server answers to a request that asks to leave HTTP. */
export interface UpgradeAnswer {
  readonly status: number;
  /** The head, and what came with it. */
  readonly bytes: Buffer;
  /** Of a body whose length was told. */
  readonly missing_bytes: number | undefined;
}

/** Takes the head of an answer off the stream, which rests then. Rejects where none comes, or what is no HTTP. */
export function upgradeAnswer(stream: Duplex): Promise<UpgradeAnswer> {
  return new Promise((resolve, reject) => {
    let bytes: Buffer = Buffer.alloc(0);
    const settle = (end: () => void): void => {
      stream.pause();
      stream.off("data", take).off("end", missing).off("close", missing).off("error", reject);
      end();
    };
    const missing = (): void => settle(() => reject(new Error("unexpected EOF")));
    const take = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      const end = bytes.indexOf("\r\n\r\n");
      if (end < 0 && bytes.length <= MAX_HEAD_BYTES) return;
      const head = bytes.subarray(0, Math.max(0, end)).toString("latin1");
      const [, status] = /^HTTP\/\d\.\d (\d{3})\b/.exec(head) ?? [];
      const [, length] = /\r\ncontent-length: *(\d+)/i.exec(head) ?? [];
      const missing_bytes = length === undefined ? undefined : Number(length) - (bytes.length - end - 4);
      settle(() => {
        if (status === undefined) reject(new Error("malformed HTTP response"));
        else resolve({ status: Number(status), bytes, missing_bytes });
      });
    };
    stream.on("data", take).on("end", missing).on("close", missing).on("error", reject);
  });
}
