/** What a webhook sent back, read as upstream's client does: a document, or why there is none, in its words. */
import { decodeJson, JsonSyntaxError } from "#shared/api/codec/json.ts";
import { decodeYaml, YamlError } from "#shared/api/codec/yaml.ts";
import { isJsonObject } from "#shared/api/patch/json-value.ts";
import { genericWords } from "#shared/api/refused-answer.ts";

export interface WebhookAnswer {
  /** Of HTTP. */
  readonly status: number;
  /** Content-Type. */
  readonly type?: string | undefined;
  readonly body: string;
}

/** The webhook was reached, and answered what cannot be taken for an answer. */
export class AnswerFault extends Error {
  override readonly name = "AnswerFault";

  /** @param code that the answer has, where it says so itself that it is a refusal */
  constructor(
    message: string,
    readonly code?: number,
    cause?: unknown,
  ) {
    super(message, { cause });
  }
}

/** The document in an answer. Throws AnswerFault. */
export function reviewIn(answer: WebhookAnswer): unknown {
  const { status, type = "", body } = answer;
  if (type !== "") checkMediaType(type);
  if (status < 200 || status > 206) throw refusal(answer);
  if (body === "") throw new AnswerFault(`0-length response with status code: ${status} and content type: ${type}`);
  try {
    return documentIn(body);
  } catch (error) {
    if (error instanceof JsonSyntaxError)
      throw new AnswerFault(`couldn't get version/kind; json parse error: ${error.message}`, undefined, error);
    if (error instanceof YamlError) throw new AnswerFault(error.message, undefined, error);
    throw error;
  }
}

/** Whatever begins as JSON does is that; all else is YAML, whatever its type is said to be. */
function documentIn(body: string): unknown {
  return /^\s*\{/.test(body) ? decodeJson(body).value : decodeYaml(body).value;
}

const MOST_OF_TEXT = 2048;

function refusal({ status, type = "", body }: WebhookAnswer): AnswerFault {
  const told = statusIn(body);
  if (told) return new AnswerFault(told.message, told.code);
  const isText = type === "" || type.startsWith("text/");
  const text = isText ? Buffer.from(body).subarray(0, MOST_OF_TEXT).toString().trim() : "unknown";
  return new AnswerFault(genericWords(status, text), status);
}

/** Of a Status of a failure, which says more than the code of HTTP. */
function statusIn(body: string): { readonly message: string; readonly code: number } | undefined {
  let status: unknown;
  try {
    status = decodeJson(body).value;
  } catch (error) {
    // Errors of others are told in any form.
    if (error instanceof JsonSyntaxError) return undefined;
    throw error;
  }
  if (!isJsonObject(status) || status["kind"] !== "Status" || status["status"] !== "Failure") return undefined;
  const { message = "", code = 0 } = status;
  return typeof message === "string" && typeof code === "number" ? { message, code } : undefined;
}

const mediaType = /^([\w!#$%&'*+.^`|~-]*)(\/?)([\w!#$%&'*+.^`|~-]*)(.*)$/s;
const parameters = /^(\s*;\s*[\w!#$%&'*+.^`|~-]+\s*=\s*([\w!#$%&'*+.^`|~-]+|"(\\.|[^"\\])*"))*[\s;]*$/s;

/** A Content-Type that is none is told of whatever the answer's code is. Throws AnswerFault in the words of Go's mime package. */
function checkMediaType(type: string): void {
  const [base = ""] = type.split(";", 1);
  const [, name, slash, subtype, rest] = mediaType.exec(base.trim()) ?? [];
  const fault =
    (!name && "no media type") ||
    (!slash && rest && "expected slash after first token") ||
    (slash && !subtype && "expected token after slash") ||
    (rest && "unexpected content after media subtype") ||
    (!parameters.test(type.slice(base.length)) && "invalid media parameter");
  if (fault) throw new AnswerFault(`Internal error occurred: mime: ${fault}`, 500);
}
