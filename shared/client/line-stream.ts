const newline = 10;

/** The longest line accepted: an object's limit in the store (3 MiB as a request) and room for escapes. */
const longestLine_bytes = 16 * 1024 * 1024;

/** Splits a byte stream into its non-empty lines; a last one without an end counts too. Throws RangeError on a line beyond 16 MiB. */
export async function* readLines(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let parts: Uint8Array[] = [];
  let size = 0;
  const take = (last: Uint8Array): string => {
    const whole = parts.length === 0 ? last : Buffer.concat([...parts, last]);
    parts = [];
    size = 0;
    return decoder.decode(whole);
  };
  for await (const chunk of stream) {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      const line = take(chunk.subarray(start, end));
      start = end + 1;
      if (line !== "") yield line;
    }
    if (start < chunk.length) {
      parts.push(chunk.slice(start));
      size += chunk.length - start;
      if (size > longestLine_bytes) throw new RangeError(`a line is longer than ${longestLine_bytes} bytes`);
    }
  }
  const rest = take(new Uint8Array());
  if (rest !== "") yield rest;
}
