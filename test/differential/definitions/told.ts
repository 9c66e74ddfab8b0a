/** What of an answer about definitions and their objects must be alike. */
import { answerOf } from "../wire/answer.ts";

export interface Told {
  readonly code: number;
  readonly warnings?: readonly string[];
  /** Of failures. */
  readonly message?: string;
  readonly causes?: readonly string[];
  /** Of a definition: names and the conditions about them. */
  readonly status?: unknown;
  /** Of objects. */
  readonly spec?: unknown;
  readonly names?: readonly string[];
  /** Of what a version serves, as discovery tells it. */
  readonly resources?: readonly unknown[];
}

/** What a parser of CEL expected instead. */
const withoutForm = (message: string): string => message.replace(/(Syntax error: ).*/, "$1…");

type Json = Readonly<Record<string, unknown>>;

export async function toldBy(response: Response, sent: string): Promise<Told> {
  const { code, warnings, body = {} } = await answerOf(response, sent);
  const shown = body as Json & { metadata?: { name?: string }; details?: { causes?: Json[] } };
  const all = { code, ...(warnings && { warnings }) };
  if (shown["kind"] === "Status") {
    const causes = (shown.details?.causes ?? []).map(
      ({ reason, field, message }) => `${reason} ${field}: ${withoutForm(String(message))}`,
    );
    return { ...all, message: causes.length > 0 ? "" : String(shown["message"] ?? ""), causes: causes.sort() };
  }
  if (shown["kind"] === "APIResourceList") return { ...all, resources: shown["resources"] as unknown[] };
  if (Array.isArray(shown["items"]))
    return { ...all, names: (shown["items"] as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name) };
  if (shown["kind"] === "CustomResourceDefinition") return { ...all, status: shown["status"] };
  return { ...all, spec: shown["spec"] };
}
