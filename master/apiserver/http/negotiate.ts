/** What a client's Accept header asks for. Pure. */
import { hasProtobufForm, protobufContentType } from "#shared/api/codec/protobuf.ts";
import { StatusError } from "#shared/api/errors.ts";
import type { GroupVersionKind } from "#shared/api/object.ts";
import { covers, type MediaRange, mediaRanges } from "#shared/http/accept.ts";

export interface Accepted {
  readonly media: Media;
  readonly pretty: boolean;
  /** A form other than the object's own. */
  readonly as: Form | undefined;
}

/** Of what upstream writes past its serializers: JSON in lines, whoever asks. */
export const jsonInLines: Accepted = { media: "json", pretty: true, as: undefined };

export type Media = "json" | "yaml" | "protobuf";

export type FormKind = "Table" | "PartialObjectMetadata" | "PartialObjectMetadataList";

/** Of meta.k8s.io. */
export interface Form {
  readonly kind: FormKind;
  readonly version: "v1" | "v1beta1";
}

/** What can be had at a place. Each keeps the answers to the few headers that its clients send again and again. */
class Offer<T> {
  readonly #formOf: (media: Media, wanted: GroupVersionKind | undefined) => T | undefined;
  readonly #versions: readonly string[];
  readonly #negotiated = new Map<string, NegotiatedAs<T>>();

  /** `formOf`: what an answer is made as; undefined: it cannot be. `versions`: of `sv`. */
  constructor(
    formOf: (media: Media, wanted: GroupVersionKind | undefined) => T | undefined,
    versions: readonly string[],
  ) {
    this.#formOf = formOf;
    this.#versions = versions;
  }

  /** The range that is liked best and can be served. Protobuf is served only to those who take nothing else. */
  choose(accept: string): NegotiatedAs<T> | undefined {
    const known = this.#negotiated.get(accept);
    if (known) return known;
    const chosen = this.#choose(accept);
    const isKept = this.#negotiated.size < MAX_NEGOTIATED && accept.length < MAX_NEGOTIATED_LENGTH;
    if (chosen && isKept) this.#negotiated.set(accept, chosen);
    return chosen;
  }

  #choose(accept: string): NegotiatedAs<T> | undefined {
    let protobuf: NegotiatedAs<T> | undefined;
    for (const range of mediaRanges(accept)) {
      for (const media of medias) {
        const chosen = covers(range, mediaTypes[media]) ? this.#accepting(media, range) : undefined;
        if (chosen && media !== "protobuf") return chosen;
        protobuf ??= chosen;
      }
    }
    return protobuf;
  }

  #accepting(media: Media, { parameters }: MediaRange): NegotiatedAs<T> | undefined {
    const stream = parameters.get("stream");
    if (stream !== undefined && (stream !== "watch" || media === "yaml")) return undefined;
    const version = parameters.get("sv");
    if (version !== undefined && !this.#versions.includes(version)) return undefined;
    const form = this.#formOf(media, wantedForm(parameters));
    return form === undefined ? undefined : { media, pretty: parameters.get("pretty") === "1", form };
  }
}

interface NegotiatedAs<T> {
  readonly media: Media;
  readonly pretty: boolean;
  readonly form: T;
}

const MAX_NEGOTIATED = 32;
const MAX_NEGOTIATED_LENGTH = 512;

const mediaTypes: Readonly<Record<Media, string>> = {
  json: "application/json",
  yaml: "application/yaml",
  protobuf: protobufContentType,
};
const medias = Object.keys(mediaTypes) as Media[];
const acceptedTypes = Object.values(mediaTypes).join(", ");

function wantedForm(parameters: ReadonlyMap<string, string>): GroupVersionKind | undefined {
  const [kind, group, version] = ["as", "g", "v"].map((name) => parameters.get(name));
  if (kind === undefined && group === undefined && version === undefined) return undefined;
  return { group: group ?? "", version: version ?? "", kind: kind ?? "" };
}

/** What stands for an object's own form. */
const own = "own";

const plain = new Offer<typeof own>((_, wanted) => (wanted ? undefined : own), []);

/** Objects and lists. Tables have no protobuf form. */
const objectOffer = (hasTable: boolean, hasProtobuf: boolean): Offer<Form | typeof own> =>
  new Offer(
    (media, wanted) => {
      if (!wanted) return media === "protobuf" && !hasProtobuf ? undefined : own;
      const { group, version, kind } = wanted;
      if (group !== "meta.k8s.io" || (version !== "v1" && version !== "v1beta1")) return undefined;
      if (kind === "Table") return hasTable && media !== "protobuf" ? { kind, version } : undefined;
      return kind === "PartialObjectMetadata" || kind === "PartialObjectMetadataList" ? { kind, version } : undefined;
    },
    ["v1"],
  );

const objectOffers = {
  printed: objectOffer(true, true),
  printedWithoutProtobuf: objectOffer(true, false),
  unprinted: objectOffer(false, true),
} as const;

/** The aggregated list of discovery (KEP-3352): whoever takes it gets it, however much it likes the old documents better. */
const discovery = new Offer<"aggregated">((_, wanted) => {
  const { group, version, kind } = wanted ?? {};
  const isAggregated = group === "apidiscovery.k8s.io" && version === "v2" && kind === "APIGroupDiscoveryList";
  return isAggregated ? "aggregated" : undefined;
}, []);

/** For what has no form but its own: errors, documents of discovery, health. Throws 406. */
export function negotiate(accept: string | undefined): Accepted {
  const chosen = plain.choose(accept || "*/*");
  if (!chosen) throw noFormAccepted();
  return { media: chosen.media, pretty: chosen.pretty, as: undefined };
}

/** In which media type the aggregated list of discovery is asked for; undefined: the old document is. */
export function negotiateAggregated(accept: string | undefined): Media | undefined {
  return discovery.choose(accept || "*/*")?.media;
}

/** Where an object of a kind is answered, or a list of them. */
export interface AnsweredKind {
  readonly kind: GroupVersionKind;
  readonly custom: boolean;
  readonly lists: boolean;
  readonly watches: boolean;
  /** Whether it is ever shown in a table: reviews and what else is only created is not. */
  readonly hasTable: boolean;
  /** A log: errors alone are objects. */
  readonly isText: boolean;
}

/** For a verb of a kind. No router stands before custom resources, and they have no protobuf form. Throws 406. */
export function negotiateFor(answered: AnsweredKind, accept: string | undefined): Accepted {
  const { kind, custom, lists, watches, hasTable, isText } = answered;
  if (isText) requireRouted(accept, new Set([textType, ...routedTypes]), `${textType}, ${acceptedTypes}`);
  else if (!custom) requireRouted(accept, routedTypes, lists ? watchedTypes : acceptedTypes);
  const offer = hasProtobufForm(kind)
    ? objectOffers[hasTable ? "printed" : "unprinted"]
    : objectOffers.printedWithoutProtobuf;
  const chosen = offer.choose(accept || "*/*");
  if (!chosen) throw noFormAccepted();
  const { media, pretty, form } = chosen;
  if (watches && media === "yaml") throw noFormAccepted(streamedTypes);
  return { media, pretty, as: form === own ? undefined : form };
}

/** For what upstream's router takes as one of the three types. Throws 406. */
export const requireMedia = (accept: string | undefined): void => requireRouted(accept, routedTypes, acceptedTypes);

/** For what is served as one media type alone. Throws 406. */
export const requireOnly = (accept: string | undefined, mediaType = mediaTypes.json): void =>
  requireRouted(accept, new Set([mediaType]), mediaType);

const textType = "text/plain";
const routedTypes: ReadonlySet<string> = new Set(Object.values(mediaTypes));

/** Upstream's router looks at types alone, and knows one wildcard. */
function requireRouted(accept: string | undefined, routed: ReadonlySet<string>, shown: string): void {
  if (!accept) return;
  for (const range of accept.split(",")) {
    const [type = ""] = range.split(";");
    if (type.trim() === "*/*" || routed.has(type.trim())) return;
  }
  throw new StatusError("NotAcceptable", `406: Not Acceptable\n\nAvailable representations: ${shown}`, {
    hasDetails: true,
  });
}

const streamedTypes = `${mediaTypes.json};stream=watch, ${mediaTypes.protobuf};stream=watch`;
const watchedTypes = `${acceptedTypes}, ${streamedTypes}`;

/** A type that is served, in a form that is not. */
const noFormAccepted = (types = acceptedTypes): StatusError =>
  new StatusError("NotAcceptable", `only the following media types are accepted: ${types}`);
