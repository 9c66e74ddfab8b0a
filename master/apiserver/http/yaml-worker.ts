/** The thread of yaml-thread.ts. */
import { encodeJson } from "#shared/api/codec/json.ts";
import { decodeYaml, YamlError } from "#shared/api/codec/yaml.ts";
import type { YamlAnswer } from "./yaml-thread.ts";

declare const self: Worker;

self.onmessage = ({ data }: MessageEvent<Uint8Array>) => self.postMessage(read(data));

function read(bytes: Uint8Array): YamlAnswer {
  try {
    const { value, duplicates } = decodeYaml(bytes);
    return { kind: "read", json: encodeJson(value), duplicates };
  } catch (error) {
    if (error instanceof YamlError) return { kind: "refused", message: error.message };
    return { kind: "failed", message: String(error) };
  }
}
