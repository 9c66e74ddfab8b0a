/** The thread of yaml-thread.ts. */
import { encodeJson } from "#shared/api/codec/json.ts";
import { decodeYaml, YamlError } from "#shared/api/codec/yaml.ts";
import type { YamlAnswer } from "./yaml-thread.ts";

declare const self: Worker;

/** From then on what is made of a body is much more than what else lives in this thread. */
const MUCH_BYTES = 256 * 1024;

self.onmessage = ({ data }: MessageEvent<Uint8Array>) => {
  self.postMessage(read(data));
  if (data.length >= MUCH_BYTES) Bun.gc(true);
};

function read(bytes: Uint8Array): YamlAnswer {
  try {
    const { value, duplicates } = decodeYaml(bytes);
    return { kind: "read", json: encodeJson(value), duplicates };
  } catch (error) {
    if (error instanceof YamlError) return { kind: "refused", message: error.message };
    return { kind: "failed", message: String(error) };
  }
}
