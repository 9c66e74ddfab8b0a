import { constants, createInflate, type Inflate } from "node:zlib";

/**
 * Header blocks of SPDY/3 (draft-mbelshe-httpbis-spdy-00, 2.6.10): name-value pairs under zlib with a dictionary that both
 * sides know. The whole connection is one zlib stream in each direction.
 */
export type Headers = Readonly<Record<string, string>>;

/** Each preceded by its length in 4 bytes; the specification's dictionary begins with these. */
const words =
  "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow authorization cache-control connection content-base content-encoding content-language content-length content-location content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie keep-alive origin";
const statusCodes =
  "100 101 201 202 205 206 300 302 303 304 305 306 307 402 405 406 407 408 409 410 411 412 413 414 415 416 417 502 504 505";
const phrases =
  "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

export const dictionary: Buffer = Buffer.concat([
  ...words.split(" ").map((word) => withLength(word.replace("_", " "))),
  Buffer.from(statusCodes.replaceAll(" ", "") + phrases),
]);

/** More than any client of ours sends; a block beyond it is an attack. */
const maxBlock_bytes = 65_536;
const maxHeaders = 256;
/** An empty stored block, as Z_SYNC_FLUSH ends with: without it Go's inflater looks for more and takes the block for cut. */
const syncMarker = Buffer.from([0, 0, 0, 0xff, 0xff]);

/** Reads the header blocks of one direction, in order. */
export class HeaderReader {
  private readonly inflate: Inflate = createInflate({ dictionary, finishFlush: constants.Z_SYNC_FLUSH });

  async read(block: Buffer): Promise<Headers> {
    const chunks: Buffer[] = [];
    let length = 0;
    let collect: (chunk: Buffer) => void = () => undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        collect = (chunk) => {
          length += chunk.length;
          if (length <= maxBlock_bytes) chunks.push(chunk);
          // A thousand times as much may follow.
          else reject(new Error("the header block is too long"));
        };
        this.inflate.on("data", collect);
        this.inflate.once("error", reject);
        this.inflate.write(block, () => {
          this.inflate.removeListener("error", reject);
          resolve();
        });
      });
    } finally {
      this.inflate.removeListener("data", collect);
    }
    return parsePairs(Buffer.concat(chunks));
  }

  close(): void {
    this.inflate.close();
  }
}

/** Writes header blocks in stored form: zlib without compression, so that no compressor's window stays in memory. */
export class HeaderWriter {
  private isFirst = true;

  write(headers: Headers): Buffer {
    const pairs = Object.entries(headers);
    const count = Buffer.alloc(4);
    count.writeUInt32BE(pairs.length);
    const plain = Buffer.concat([
      count,
      ...pairs.flatMap(([name, value]) => [withLength(name.toLowerCase()), withLength(value)]),
    ]);
    const stored = Buffer.alloc(5);
    stored.writeUInt16LE(plain.length, 1);
    stored.writeUInt16LE(~plain.length & 0xffff, 3);
    const start = this.isFirst ? zlibHeader() : Buffer.alloc(0);
    this.isFirst = false;
    return Buffer.concat([start, stored, plain, syncMarker]);
  }
}

function parsePairs(plain: Buffer): Headers {
  const headers: Record<string, string> = {};
  let position = 0;
  const number = (): number => {
    if (position + 4 > plain.length) throw new Error("the header block is cut short");
    position += 4;
    return plain.readUInt32BE(position - 4);
  };
  const text = (): string => {
    const length = number();
    if (position + length > plain.length) throw new Error("the header block is cut short");
    position += length;
    return plain.toString("utf8", position - length, position);
  };
  const count = number();
  if (count > maxHeaders) throw new Error("the header block has too many headers");
  for (let index = 0; index < count; index++) {
    const name = text().toLowerCase();
    headers[name] = text();
  }
  return headers;
}

/** CMF and FLG with FDICT (RFC 1950), then the dictionary's Adler-32. */
function zlibHeader(): Buffer {
  const header = Buffer.from([0x78, 0xbb, 0, 0, 0, 0]);
  header.writeUInt32BE(adler32(dictionary), 2);
  return header;
}

function adler32(data: Buffer): number {
  let a = 1;
  let b = 0;
  for (const byte of data) {
    a = (a + byte) % 65_521;
    b = (b + a) % 65_521;
  }
  return ((b << 16) | a) >>> 0;
}

function withLength(text: string): Buffer {
  const body = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}
