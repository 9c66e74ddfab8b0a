/** What is read of an aggregated API server's answer. */
import type { StreamResponse } from "#shared/http/http-over-stream.ts";

const MAX_DOCUMENT_BYTES = 8 * 1024 * 1024;

/** Empty where there is none. */
export function headerOf({ headers }: StreamResponse, name: string): string {
  const index = headers.findIndex((each, at) => at % 2 === 0 && each.toLowerCase() === name);
  return index < 0 ? "" : (headers[index + 1] ?? "");
}

/** The whole body. Throws where it is longer than a document may be. */
export async function bytesOf({ body }: StreamResponse): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += (chunk as Buffer).length;
    if (size > MAX_DOCUMENT_BYTES) throw new Error("the answer is too long");
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}
