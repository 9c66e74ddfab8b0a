/** What a webhook sent back, read as upstream's client does: a document, or why there is none, in its words. */
import { decodeJson, JsonSyntaxError } from "#shared/api/codec/json.ts";
import { decodeYaml, YamlError } from "#shared/api/codec/yaml.ts";
import { isJsonObject } from "#shared/api/patch/json-value.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";

export interface WebhookAnswer {
  readonly status: number;
  /** Content-Type. */
  readonly type?: string | undefined;
  readonly body: string;
}

/** The webhook was reached, and answered what cannot be taken for an answer. */
export class AnswerFault extends Error {
  override readonly name = "AnswerFault";
}

/** The document in an answer. Throws AnswerFault. */
export function reviewIn(answer: WebhookAnswer): unknown {
  const { status, type = "", body } = answer;
  if (status < 200 || status > 299) throw new AnswerFault(refusal(answer));
  if (body === "") throw new AnswerFault(`0-length response with status code: ${status} and content type: ${type}`);
  try {
    return documentIn(body);
  } catch (error) {
    if (error instanceof JsonSyntaxError)
      throw new AnswerFault(`couldn't get version/kind; json parse error: ${error.message}`, { cause: error });
    if (error instanceof YamlError) throw new AnswerFault(error.message, { cause: error });
    throw error;
  }
}

/** Whatever begins as JSON does is that; all else is YAML, whatever its type is said to be. */
function documentIn(body: string): unknown {
  return /^\s*\{/.test(body) ? decodeJson(body).value : decodeYaml(body).value;
}

/** As upstream's NewGenericServerResponse. */
const wordsOfStatus: Readonly<Record<number, string>> = {
  400: "the server rejected our request for an unknown reason",
  401: "the server has asked for the client to provide credentials",
  404: "the server could not find the requested resource",
  405: "the server does not allow this method on the requested resource",
  409: "the server reported a conflict",
  422: "the server rejected our request due to an error in our request",
  429: "the server has received too many requests and has asked us to try again later",
  503: "the server is currently unable to handle the request",
  504: "the server was unable to return a response in the time allotted, but may still be processing the request",
};

const MOST_OF_TEXT = 2048;

function refusal({ status, type = "", body }: WebhookAnswer): string {
  const told = statusMessage(body);
  if (told) return told;
  const isText = type === "" || type.startsWith("text/");
  const text = isText && body !== "" ? body.slice(0, MOST_OF_TEXT).trim() : "unknown";
  if (status === 403) return text;
  const words = wordsOfStatus[status];
  if (words) return words;
  if (status >= 500) return `an error on the server (${goQuote(text)}) has prevented the request from succeeding`;
  return `the server responded with the status code ${status} but did not return more information`;
}

/** Of a Status, which says more than its code. */
function statusMessage(body: string): string | undefined {
  let status: unknown;
  try {
    status = decodeJson(body).value;
  } catch (error) {
    // Errors of others are told in any form.
    if (error instanceof JsonSyntaxError) return undefined;
    throw error;
  }
  if (!isJsonObject(status) || status["kind"] !== "Status") return undefined;
  const { message } = status;
  return typeof message === "string" ? message : undefined;
}
