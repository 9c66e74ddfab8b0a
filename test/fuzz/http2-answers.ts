import { FRAME_HEAD_BYTES, flags, frameTypes } from "#shared/http2/frames.ts";
import { HeaderDecoder } from "#shared/http2/header-decoder.ts";
import { JUDGED_BYTES } from "./judge.ts";

/** Reads HTTP/2 answers out of a stream. */
export class Http2AnswerReader {
  readonly codes: number[] = [];
  whole = 0;
  text = "";
  readonly #decoder = new HeaderDecoder(Number.MAX_SAFE_INTEGER);
  #bytes: Buffer = Buffer.alloc(0);

  read(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    while (this.#bytes.length >= FRAME_HEAD_BYTES) {
      const end = FRAME_HEAD_BYTES + this.#bytes.readUIntBE(0, 3);
      if (this.#bytes.length < end) return;
      this.#take(this.#bytes[3] ?? 0, this.#bytes[4] ?? 0, this.#bytes.subarray(FRAME_HEAD_BYTES, end));
      this.#bytes = this.#bytes.subarray(end);
    }
  }

  #take(type: number, flag: number, payload: Buffer): void {
    if (type === frameTypes.data && this.text.length < JUDGED_BYTES)
      this.text += payload.subarray(0, JUDGED_BYTES).toString("latin1");
    if (type === frameTypes.headers) {
      const { fields } = this.#decoder.decode(payload);
      const code = Number(fields[1]);
      if (code >= 200 || Number.isNaN(code)) this.codes.push(code);
    }
    if (type <= frameTypes.headers && (flag & flags.endStream) !== 0) this.whole += 1;
  }
}
