/** What a client's Accept header asks for. Pure. */
import { hasProtobufForm, protobufContentType } from "#shared/api/codec/protobuf.ts";
import { StatusError } from "#shared/api/errors.ts";
import type { GroupVersionKind } from "#shared/api/object.ts";

export interface Accepted {
  readonly media: "json" | "yaml" | "protobuf";
  readonly pretty: boolean;
  /** A form other than the object's own. */
  readonly as: "Table" | "PartialObjectMetadata" | "PartialObjectMetadataList" | undefined;
}

interface Clause {
  /** In lower case. */
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const plainJson: Accepted = { media: "json", pretty: false, as: undefined };
const acceptedTypes = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/** Clients send the same few headers again and again. */
const negotiated = new Map<string, Accepted>();
const MAX_NEGOTIATED = 32;

/** The first clause that can be served. Protobuf is served only to those who take nothing else. Throws 406. */
export function negotiate(accept: string | undefined): Accepted {
  if (accept === undefined) return plainJson;
  const known = negotiated.get(accept);
  if (known) return known;
  const accepted = firstServed(accept);
  if (negotiated.size < MAX_NEGOTIATED && accept.length < 512) negotiated.set(accept, accepted);
  return accepted;
}

function firstServed(accept: string): Accepted {
  if (accept.trim() === "") return plainJson;
  let protobuf: Accepted | undefined;
  const clauses = clausesOf(accept);
  for (const clause of clauses) {
    const accepted = acceptedBy(clause);
    if (accepted?.media === "protobuf") protobuf ??= accepted;
    else if (accepted) return accepted;
  }
  if (protobuf) return protobuf;
  throw clauses.some(({ type }) => type in medias) ? noFormAccepted() : noTypeAccepted();
}

/** A type that is served, in a form that is not. Reviews have no form but their own. */
export const noFormAccepted = (): StatusError =>
  new StatusError("NotAcceptable", `only the following media types are accepted: ${acceptedTypes}`);

/** Upstream's router answers so; it knows two more types where something can be watched. */
const noTypeAccepted = (types = acceptedTypes): StatusError =>
  new StatusError("NotAcceptable", `406: Not Acceptable\n\nAvailable representations: ${types}`, { hasDetails: true });

/** For what is served as JSON alone. The router of upstream that stands there knows no other wildcard. Throws 406. */
export function requireJson(accept: string | undefined): void {
  if (accept === undefined || accept.trim() === "") return;
  if (clausesOf(accept).some(({ type }) => type === "application/json" || type === "*/*")) return;
  throw noTypeAccepted("application/json");
}

/** For what has no form but its own. Throws 406, as upstream's router does where one stands before it. */
export function requireOwnForm(accept: string | undefined, isRouted: boolean): void {
  let accepted: Accepted;
  try {
    accepted = negotiate(accept);
  } catch (error) {
    throw isRouted ? error : noFormAccepted();
  }
  if (accepted.as !== undefined) throw noFormAccepted();
}

const watchedTypes = `${acceptedTypes}, application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch`;

/** The same for a verb of a kind. No router stands before custom resources, and they have no protobuf form. */
export function negotiateFor(
  { kind, custom, lists }: { readonly kind: GroupVersionKind; readonly custom: boolean; readonly lists: boolean },
  accept: string | undefined,
): Accepted {
  let accepted: Accepted;
  try {
    accepted = negotiate(accept);
  } catch (error) {
    if (!(error instanceof StatusError) || !error.options.hasDetails) throw error;
    throw custom ? noFormAccepted() : noTypeAccepted(lists ? watchedTypes : acceptedTypes);
  }
  if (accepted.media !== "protobuf" || accepted.as !== undefined || hasProtobufForm(kind)) return accepted;
  throw noFormAccepted();
}

/** What a client takes, what it likes best first (RFC 9110, 12.5.1): by weight, then wildcards last. */
export function clausesOf(accept: string): Clause[] {
  const clauses = accept.split(",").map((text): Clause => {
    const [type = "", ...parameters] = text.split(";").map((part) => part.trim());
    return {
      type: type.toLowerCase(),
      parameters: new Map(
        parameters.map((parameter) => {
          const [name = "", value = ""] = parameter.split("=");
          return [name.trim(), value.trim()];
        }),
      ),
    };
  });
  return clauses.length === 1 ? clauses : clauses.sort((a, b) => weightOf(b) - weightOf(a) || stars(a) - stars(b));
}

function weightOf({ parameters }: Clause): number {
  const weight = Number(parameters.get("q") ?? "1");
  return Number.isFinite(weight) ? weight : 0;
}

const stars = ({ type }: Clause): number => (type === "*/*" ? 2 : type.endsWith("/*") ? 1 : 0);

function acceptedBy({ type, parameters }: Clause): Accepted | undefined {
  const as = parameters.get("as");
  if (as !== undefined) {
    const isMeta = parameters.get("g") === "meta.k8s.io" && parameters.get("v") === "v1";
    if (!isMeta || !isForm(as)) return undefined;
  }
  const pretty = parameters.get("pretty") === "1";
  const form = as === undefined || !isForm(as) ? undefined : as;
  const media = medias[type];
  // Tables are JSON alone.
  return media === undefined || (media === "protobuf" && form === "Table") ? undefined : { media, pretty, as: form };
}

const medias: Readonly<Record<string, Accepted["media"]>> = {
  "application/json": "json",
  "application/*": "json",
  "*/*": "json",
  "application/yaml": "yaml",
  [protobufContentType]: "protobuf",
};

const isForm = (as: string): as is NonNullable<Accepted["as"]> =>
  as === "Table" || as === "PartialObjectMetadata" || as === "PartialObjectMetadataList";
