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
  for (const clause of clausesOf(accept)) {
    const accepted = acceptedBy(clause);
    if (accepted?.media === "protobuf") protobuf ??= accepted;
    else if (accepted) return accepted;
  }
  if (protobuf) return protobuf;
  throw noFormAccepted();
}

/** Also the answer of what has no other form than its own: reviews have neither Table nor metadata. */
export const noFormAccepted = (types = acceptedTypes): StatusError =>
  new StatusError("NotAcceptable", `406: Not Acceptable\n\nAvailable representations: ${types}`, { hasDetails: true });

/** The same for a kind that may have no protobuf form, as custom resources have none. */
export function negotiateFor(gvk: GroupVersionKind, accept: string | undefined): Accepted {
  const accepted = negotiate(accept);
  if (accepted.media !== "protobuf" || accepted.as !== undefined || hasProtobufForm(gvk)) return accepted;
  throw noFormAccepted("application/json, application/yaml");
}

export function clausesOf(accept: string): Clause[] {
  return accept.split(",").map((text) => {
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
}

function acceptedBy({ type, parameters }: Clause): Accepted | undefined {
  const as = parameters.get("as");
  if (as !== undefined) {
    const isMeta = parameters.get("g") === "meta.k8s.io" && parameters.get("v") === "v1";
    if (!isMeta || !isForm(as)) return undefined;
  }
  const pretty = parameters.get("pretty") === "1";
  const form = as === undefined || !isForm(as) ? undefined : as;
  switch (type) {
    case "application/json":
    case "application/*":
    case "*/*":
      return { media: "json", pretty, as: form };
    case "application/yaml":
      return { media: "yaml", pretty, as: form };
    case protobufContentType:
      // Tables are JSON alone.
      if (form === "Table") return undefined;
      return { media: "protobuf", pretty, as: form };
    default:
      return undefined;
  }
}

const isForm = (as: string): as is NonNullable<Accepted["as"]> =>
  as === "Table" || as === "PartialObjectMetadata" || as === "PartialObjectMetadataList";
