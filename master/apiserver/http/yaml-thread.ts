import { type DecodedDocument, type DuplicateField, decodeJson, decodePlainJson } from "#shared/api/codec/json.ts";
import { YamlError } from "#shared/api/codec/yaml.ts";
import { workerAddress } from "../../worker-threads.ts";

export type YamlAnswer =
  | { readonly kind: "read"; readonly json: string; readonly duplicates: readonly DuplicateField[] }
  | { readonly kind: "refused"; readonly message: string }
  | { readonly kind: "failed"; readonly message: string };

/** Up to here a body is read within a few milliseconds; a megabyte of small values takes a second and more. */
export const LARGE_YAML_BYTES = 32 * 1024;
/** The thread ends when nobody sent such a body for so long: it holds some megabytes. */
const KEEP_FOR_MS = 10_000;

interface Waiting {
  readonly bytes: Uint8Array;
  resolve(answer: YamlAnswer): void;
  reject(error: Error): void;
}

/**
 * Reads large YAML in a thread of its own, so that nobody else waits for it: no turn of the server's event loop is long.
 * One body after the other; priority and fairness bound how many there are.
 */
class YamlThread {
  #worker: Worker | undefined;
  readonly #queue: Waiting[] = [];
  #end: ReturnType<typeof setTimeout> | undefined;

  /** Throws YamlError. */
  async read(bytes: Uint8Array): Promise<DecodedDocument> {
    const answer = await new Promise<YamlAnswer>((resolve, reject) => {
      this.#queue.push({ bytes, resolve, reject });
      if (this.#queue.length === 1) this.#next();
    });
    if (answer.kind === "refused") throw new YamlError(answer.message);
    if (answer.kind === "failed") throw new Error(answer.message);
    const { value, positionOf } = decodeJson(answer.json);
    return { value, duplicates: answer.duplicates, positionOf };
  }

  #next(): void {
    clearTimeout(this.#end);
    const [first] = this.#queue;
    if (first) {
      this.#worker ??= this.#start();
      this.#worker.postMessage(first.bytes);
      return;
    }
    this.#end = setTimeout(() => this.#stop(), KEEP_FOR_MS);
    this.#end.unref();
  }

  #start(): Worker {
    const worker = new Worker(workerAddress("yaml"), { ref: false });
    worker.onmessage = ({ data }: MessageEvent<YamlAnswer>) => {
      this.#queue.shift()?.resolve(data);
      this.#next();
    };
    worker.onerror = ({ message }) => {
      this.#stop();
      this.#queue.shift()?.reject(new Error(`the thread that reads YAML died: ${message}`));
      this.#next();
    };
    return worker;
  }

  #stop(): void {
    this.#worker?.terminate();
    this.#worker = undefined;
  }
}

const thread = new YamlThread();

/** What a large body in YAML says, or why it cannot be read: said where all bodies are decoded. JSON is YAML too. */
export async function readLargeYaml(bytes: Uint8Array): Promise<DecodedDocument | YamlError> {
  const plain = decodePlainJson(bytes);
  if (plain) return plain;
  try {
    return await thread.read(bytes);
  } catch (error) {
    if (error instanceof YamlError) return error;
    throw error;
  }
}
