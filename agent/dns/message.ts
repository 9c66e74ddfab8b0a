/** DNS messages as bytes (RFC 1035, 4): what is passed on is not decoded, so that nothing of it is lost, and nothing in it can do harm. */

export const HEADER_BYTES = 12;
/** Type and class behind a question's name. */
const QUESTION_TAIL_BYTES = 4;
/** Type, class, time to live and length behind a record's name. */
const RECORD_TAIL_BYTES = 10;
const LONGEST_LABEL_BYTES = 63;
const LONGEST_NAME_BYTES = 255;
export const flags = {
  response: 0x8000,
  authoritative: 0x0400,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  checkingDisabled: 0x0010,
} as const;
export const responseCode = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  noSuchName: 3,
  notImplemented: 4,
  refused: 5,
  badVersion: 16,
} as const;
/** What an answer has of its query. */
const fromQuery = flags.recursionDesired | flags.checkingDisabled;
const answerCode = 0x000f;
const operation = 0x7800;
export const OPT = 41;
const dnssecOk = 0x8000;
/** Of an OPT record without options. */
const OPTION_BYTES = 11;

const idOf = (message: Buffer): number => message.readUInt16BE(0);
export const flagsOf = (message: Buffer): number => message.readUInt16BE(2);
export const codeOf = (message: Buffer): number => flagsOf(message) & answerCode;
export const isTruncated = (message: Buffer): boolean => (flagsOf(message) & flags.truncated) !== 0;

/** EDNS (RFC 6891): what the sender can take, and whether it wants signatures. */
export interface SenderOption {
  readonly size_bytes: number;
  readonly version: number;
  readonly flags: number;
}

export interface Query {
  /** What came, with as many records as it says, and nothing behind them. */
  readonly message: Buffer;
  /** As it is written, with type and class. */
  readonly question: Buffer;
  /** In lower case, without the final dot; a dot within a label is no separator here, and no name that is known has one. */
  readonly name: string;
  readonly type: number;
  readonly option: SenderOption | undefined;
}

/** What came: a query, something that is refused with a code, or (undefined) nothing that deserves an answer. */
export function readQuery(message: Buffer): Query | { readonly refused: number } | undefined {
  if (message.length < HEADER_BYTES || (flagsOf(message) & flags.response) !== 0) return undefined;
  if ((flagsOf(message) & operation) !== 0) return { refused: responseCode.notImplemented };
  const wrong = { refused: responseCode.formatError };
  const [answers, authorities, additional] = countsOf(message);
  // As servers commonly judge (NOTIFY and IXFR have one record, TSIG and OPT are two); no walk through thousands.
  if (answers > 1 || authorities > 1 || additional > 2) return wrong;
  const question = questionOf(message);
  const records = recordsOf(message);
  if (!question || !records) return wrong;
  const options = records.filter(({ type }) => type === OPT);
  if (options.length > 1) return wrong;
  return {
    // Whom it is passed on to may be stricter about what follows the records, or is missing of them.
    message: withRecords(message, records, records.length),
    question,
    name: nameOf(question),
    type: question.readUInt16BE(question.length - QUESTION_TAIL_BYTES),
    option: options[0] && optionAt(message, options[0].tail),
  };
}

function nameOf(question: Buffer): string {
  const labels: string[] = [];
  for (let at = 0, length = question[at] ?? 0; length !== 0; at += 1 + length, length = question[at] ?? 0)
    labels.push(lowered(question.subarray(at + 1, at + 1 + length)).replaceAll(".", "\0"));
  return labels.join(".");
}

function optionAt(message: Buffer, tail: number): SenderOption {
  return {
    size_bytes: message.readUInt16BE(tail + 2),
    version: message[tail + 5] ?? 0,
    flags: message.readUInt16BE(tail + 6),
  };
}

const countsOf = (message: Buffer): [number, number, number] => [
  message.readUInt16BE(6),
  message.readUInt16BE(8),
  message.readUInt16BE(10),
];

/** The one question of a message, as it is written; undefined for none, or for several. */
function questionOf(message: Buffer): Buffer | undefined {
  if (message.length < HEADER_BYTES || message.readUInt16BE(4) !== 1) return undefined;
  let at = HEADER_BYTES;
  for (let length = message[at]; length !== 0; length = message[at]) {
    if (length === undefined || length > LONGEST_LABEL_BYTES) return undefined;
    at += 1 + length;
  }
  const end = at + 1 + QUESTION_TAIL_BYTES;
  return end <= message.length && at + 1 - HEADER_BYTES <= LONGEST_NAME_BYTES
    ? message.subarray(HEADER_BYTES, end)
    : undefined;
}

export interface PlacedRecord {
  readonly type: number;
  readonly start: number;
  /** Where its type stands. */
  readonly tail: number;
  readonly end: number;
}

/** Where the records behind the question stand; a message may end before all of them have come. undefined: it cannot be read. */
export function recordsOf(message: Buffer): PlacedRecord[] | undefined {
  const question = questionOf(message);
  if (!question) return undefined;
  const records: PlacedRecord[] = [];
  const [answers, authorities, additional] = countsOf(message);
  let start = HEADER_BYTES + question.length;
  while (records.length < answers + authorities + additional && start < message.length) {
    const tail = afterName(message, start);
    if (tail === undefined || tail + RECORD_TAIL_BYTES > message.length) return undefined;
    const end = tail + RECORD_TAIL_BYTES + message.readUInt16BE(tail + 8);
    if (end > message.length) return undefined;
    records.push({ type: message.readUInt16BE(tail), start, tail, end });
    start = end;
  }
  return records;
}

/** A pointer ends a name. */
function afterName(message: Buffer, start: number): number | undefined {
  let at = start;
  for (let length = message[at]; length !== 0; length = message[at]) {
    if (length === undefined) return undefined;
    if (length >= 0xc0) return at + 2;
    if (length > LONGEST_LABEL_BYTES) return undefined;
    at += 1 + length;
  }
  return at + 1;
}

/** Names are compared without regard to capitals. */
const lowered = (question: Buffer): string =>
  question.toString("latin1").replace(/[A-Z]/g, (each) => each.toLowerCase());

/** What an answer depends on, beside whom is asked: the question, and whether signatures are wanted or not looked at. */
export function cacheKeyOf(query: Buffer): string | undefined {
  const question = questionOf(query);
  if (!question) return undefined;
  return `${lowered(question)} ${flagsOf(query) & flags.checkingDisabled} ${wantsSignatures(query)}`;
}

function wantsSignatures(query: Buffer): boolean {
  const option = recordsOf(query)?.find(({ type }) => type === OPT);
  return option !== undefined && (optionAt(query, option.tail).flags & dnssecOk) !== 0;
}

/** Whether it answers this very query. */
export function answers(message: Buffer, query: Buffer): boolean {
  const [given, asked] = [questionOf(message), questionOf(query)];
  if (!given || !asked || idOf(message) !== idOf(query)) return false;
  return (flagsOf(message) & flags.response) !== 0 && lowered(given) === lowered(asked);
}

export function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  return copy;
}

/** An answer to a query of somebody else's with the same question, for whoever sent this one. */
export function readdressed(answer: Buffer, query: Buffer): Buffer {
  const copy = withId(answer, idOf(query));
  copy.writeUInt16BE((flagsOf(answer) & ~fromQuery) | (flagsOf(query) & fromQuery), 2);
  questionOf(query)?.copy(copy, HEADER_BYTES);
  return copy;
}

/** The head of an answer, with counts of 0. */
export function headOf(query: Buffer, flagsAndCode: number): Buffer {
  const head = Buffer.alloc(HEADER_BYTES);
  head.writeUInt16BE(idOf(query), 0);
  const kept = flagsOf(query) & ((flagsOf(query) & operation) === 0 ? fromQuery : flags.recursionDesired | operation);
  head.writeUInt16BE(flags.response | kept | (flagsAndCode & ~operation & 0xffff), 2);
  return head;
}

/**
 * The answer as its client can take it: records that do not fit are left out, and that is said (the client then asks by
 * TCP). The option is this server's: whoever sent none gets none.
 * @param answer with its question; one that cannot be read loses all records when it does not fit.
 * @param extendedCode what a code has beyond its four bits.
 */
export function fitted(
  answer: Buffer,
  { option }: Pick<Query, "option">,
  limit_bytes: number,
  extendedCode = 0,
): Buffer {
  const records = recordsOf(answer) ?? [];
  const [answers, authorities, additional] = countsOf(answer);
  const isWhole = records.length === answers + authorities + additional;
  // An upstream's option says what the upstream can take.
  const foreign = records.findIndex(
    ({ type, start, tail }, index) => type === OPT && tail === start + 1 && index >= answers + authorities,
  );
  const isLast = foreign >= 0 && foreign === records.length - 1;
  const foreignCode = isLast ? (answer[(records[foreign]?.tail ?? 0) + 4] ?? 0) : 0;
  const plain = isWhole && isLast ? withRecords(answer, records, foreign) : answer;
  const isOptionDue = option && isWhole && (isLast || foreign < 0);
  const room_bytes = limit_bytes - (isOptionDue ? OPTION_BYTES : 0);
  const short = plain.length <= room_bytes ? plain : shortened(plain, room_bytes);
  if (!isOptionDue) return short;
  const own = Buffer.alloc(OPTION_BYTES);
  own.writeUInt16BE(OPT, 1);
  own.writeUInt16BE(option.size_bytes, 3);
  own[5] = extendedCode || foreignCode;
  own.writeUInt16BE(option.flags & dnssecOk, 7);
  const whole = Buffer.concat([short, own]);
  whole.writeUInt16BE(whole.readUInt16BE(10) + 1, 10);
  return whole;
}

function shortened(answer: Buffer, limit_bytes: number): Buffer {
  const records = recordsOf(answer) ?? [];
  const beyond = records.findIndex(({ end }) => end > limit_bytes);
  const short = withRecords(answer, records, Math.max(0, beyond));
  short.writeUInt16BE(flagsOf(answer) | flags.truncated, 2);
  return short;
}

/** A copy with the first `count` of its records. Names point only to what stands before them. */
function withRecords(answer: Buffer, records: readonly PlacedRecord[], count: number): Buffer {
  const questionEnd = HEADER_BYTES + (questionOf(answer)?.length ?? 0);
  const copy = Buffer.from(answer.subarray(0, count === 0 ? questionEnd : records[count - 1]?.end));
  let left = count;
  for (const [section, there] of countsOf(answer).entries()) {
    const kept = Math.min(left, there);
    copy.writeUInt16BE(kept, 6 + 2 * section);
    left -= kept;
  }
  return copy;
}
