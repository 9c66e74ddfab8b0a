/** DNS messages as bytes (RFC 1035, 4): what is passed on is not decoded, so that nothing of it is lost, and nothing in it can do harm. */

const HEADER_BYTES = 12;
/** Type and class behind a question's name. */
const QUESTION_TAIL_BYTES = 4;
const LONGEST_LABEL_BYTES = 63;
const flags = { response: 0x8000, truncated: 0x0200, checkingDisabled: 0x0010 } as const;
const answerCode = 0x000f;
const rootOfOption = 41;
const dnssecOk = 0x8000;

const idOf = (message: Buffer): number => message.readUInt16BE(0);
export const flagsOf = (message: Buffer): number => message.readUInt16BE(2);
export const codeOf = (message: Buffer): number => flagsOf(message) & answerCode;
export const isTruncated = (message: Buffer): boolean => (flagsOf(message) & flags.truncated) !== 0;
/** 0 for an ordinary query. */
export const operationOf = (message: Buffer): number => (flagsOf(message) >> 11) & 0xf;

/** The one question of a message, as it is written; undefined for none, or for several. */
function questionOf(message: Buffer): Buffer | undefined {
  if (message.length < HEADER_BYTES || message.readUInt16BE(4) !== 1) return undefined;
  let at = HEADER_BYTES;
  for (let length = message[at]; length !== 0; length = message[at]) {
    if (length === undefined || length > LONGEST_LABEL_BYTES) return undefined;
    at += 1 + length;
  }
  const end = at + 1 + QUESTION_TAIL_BYTES;
  return end <= message.length ? message.subarray(HEADER_BYTES, end) : undefined;
}

/** Names are compared without regard to capitals. */
const lowered = (question: Buffer): string =>
  question.toString("latin1").replace(/[A-Z]/g, (each) => each.toLowerCase());

/** What an answer depends on, beside whom is asked: the question, and whether signatures are wanted or not looked at. */
export function cacheKeyOf(query: Buffer): string | undefined {
  const question = questionOf(query);
  if (!question) return undefined;
  return `${lowered(question)} ${flagsOf(query) & flags.checkingDisabled} ${wantsSignatures(query, question)}`;
}

/** By the option that stands alone behind a query's question (RFC 6891, 6.1.3). */
function wantsSignatures(query: Buffer, question: Buffer): boolean {
  const at = HEADER_BYTES + question.length;
  const isOption = query.length >= at + 11 && query[at] === 0 && query.readUInt16BE(at + 1) === rootOfOption;
  return isOption && (query.readUInt16BE(at + 7) & dnssecOk) !== 0;
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
  questionOf(query)?.copy(copy, HEADER_BYTES);
  return copy;
}

/** What does not fit is left out whole, and that is said: the client then asks by TCP. */
export function fitted(answer: Buffer, limit_bytes: number): Buffer {
  if (answer.length <= limit_bytes) return answer;
  const short = Buffer.from(answer.subarray(0, HEADER_BYTES + (questionOf(answer)?.length ?? 0)));
  short.writeUInt16BE(flagsOf(answer) | flags.truncated, 2);
  // No answers, authorities and additional records.
  short.fill(0, 6, HEADER_BYTES);
  return short;
}
