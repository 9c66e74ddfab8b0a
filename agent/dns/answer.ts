import { isIPv4 } from "node:net";
import type { RecordData } from "./cluster-records.ts";
import { flags, HEADER_BYTES, headOf, type Query } from "./message.ts";

/** A record that is written, and how long it holds. */
export type TimedRecord = RecordData & { readonly ttl: number };

export interface Answer {
  readonly code: number;
  readonly isAuthoritative?: boolean;
  readonly answers?: readonly TimedRecord[];
  readonly authorities?: readonly TimedRecord[];
  readonly additional?: readonly TimedRecord[];
}

/** Types of records (RFC 1035, 3.2.2 and 3.2.3, RFC 3596, RFC 2782). */
const numbers = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, TXT: 16, AAAA: 28, SRV: 33 } as const;
const names = new Map<number, string>(Object.entries(numbers).map(([name, number]) => [number, name]));
const INTERNET = 1;
const POINTER = 0xc000;
const FARTHEST_POINTER = 0x3fff;
/** Of the cluster's zone; nobody copies it, so that its number need not change. */
const authorityTimes = { serial: 1, refresh_s: 7200, retry_s: 1800, expire_s: 86_400 } as const;

/** "A", or "TYPE64" for what is never answered from here. */
export const typeName = (type: number): string => names.get(type) ?? `TYPE${type}`;

/** An answer's bytes, names compressed, the question as it was asked. Throws for a name that cannot be written. */
export function writeAnswer(query: Query, answer: Answer): Buffer {
  const writer = new AnswerWriter(query, answer);
  for (const section of [answer.answers, answer.authorities, answer.additional]) writer.section(section ?? []);
  return writer.bytes();
}

class AnswerWriter {
  private readonly parts: Buffer[];
  private at: number;
  private readonly counts: number[] = [];
  /** Where a name stands, as it is written. */
  private readonly written = new Map<string, number>();
  /** The asked name and what it lies in, whose capitals are the client's. */
  private readonly asked = new Map<string, number>();

  constructor({ message, question, name }: Query, { code, isAuthoritative }: Answer) {
    const head = headOf(message, code | (isAuthoritative ? flags.authoritative : 0));
    head.writeUInt16BE(1, 4);
    this.parts = [head, question];
    this.at = HEADER_BYTES + question.length;
    for (let rest = name, offset = HEADER_BYTES; rest !== ""; ) {
      this.asked.set(rest, offset);
      const length = rest.indexOf(".");
      offset += 1 + length;
      rest = length < 0 ? "" : rest.slice(length + 1);
    }
  }

  section(records: readonly TimedRecord[]): void {
    for (const record of records) this.record(record);
    this.counts.push(records.length);
  }

  bytes(): Buffer {
    const whole = Buffer.concat(this.parts);
    for (const [section, count] of this.counts.entries()) whole.writeUInt16BE(count, 6 + 2 * section);
    return whole;
  }

  private record(record: TimedRecord): void {
    // Whose name it is, in the client's own spelling: some compare it letter by letter.
    this.name(record.name, true);
    const head = Buffer.alloc(10);
    head.writeUInt16BE(numbers[record.type], 0);
    head.writeUInt16BE(INTERNET, 2);
    head.writeUInt32BE(record.ttl, 4);
    this.push(head);
    const start = this.at;
    this.data(record);
    head.writeUInt16BE(this.at - start, 8);
  }

  private data(record: TimedRecord): void {
    switch (record.type) {
      case "A":
      case "AAAA":
        this.push(addressBytes(record.data));
        break;
      case "CNAME":
      case "NS":
      case "PTR":
        this.name(record.data);
        break;
      case "TXT":
        this.push(labelBytes(record.data));
        break;
      case "SRV": {
        const { priority, weight, port, target } = record.data;
        this.push(integers16(priority, weight, port));
        // Never compressed (RFC 2782).
        this.push(nameBytes(target));
        break;
      }
      case "SOA": {
        const { serial, refresh_s, retry_s, expire_s } = authorityTimes;
        this.name(record.data.mname);
        this.name(record.data.rname);
        this.push(integers32(serial, refresh_s, retry_s, expire_s, record.data.minimum_s));
      }
    }
  }

  /** Ends in a pointer where the rest stands already (RFC 1035, 4.1.4). */
  private name(name: string, isOwner = false): void {
    for (let rest = name; rest !== ""; ) {
      const known = (isOwner ? this.asked.get(rest.toLowerCase()) : undefined) ?? this.written.get(rest);
      if (known !== undefined) {
        this.push(integers16(POINTER | known));
        return;
      }
      if (this.at <= FARTHEST_POINTER) this.written.set(rest, this.at);
      const length = rest.indexOf(".");
      this.push(labelBytes(length < 0 ? rest : rest.slice(0, length)));
      rest = length < 0 ? "" : rest.slice(length + 1);
    }
    this.push(Buffer.alloc(1));
  }

  private push(bytes: Buffer): void {
    this.parts.push(bytes);
    this.at += bytes.length;
  }
}

function integers16(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(2 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, 2 * index);
  return bytes;
}

function integers32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, 4 * index);
  return bytes;
}

/** Its length and it. */
function labelBytes(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  if (bytes.length === 0 || bytes.length > 63) throw new RangeError(`no label of a name: "${text}"`);
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

const nameBytes = (name: string): Buffer => Buffer.concat([...name.split(".").map(labelBytes), Buffer.alloc(1)]);

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split(".").map(Number));
  // The URL parser brings an address with an IPv4 tail into groups.
  const [head = "", tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const groups = (text: string): number[] =>
    text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
  const [before, behind] = [groups(head), groups(tail ?? "")];
  return integers16(...before, ...Array<number>(8 - before.length - behind.length).fill(0), ...behind);
}
