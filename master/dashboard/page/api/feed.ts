/**
 * Lists and watches. A feed lists, follows the changes, and lists anew when it lost its place. It rests while the page is
 * hidden: nobody looks, and the master has other work.
 */
import { linesOf } from "./line-stream.ts";
import type { KubeObject, Metadata, Resource } from "./objects.ts";
import { listPath } from "./objects.ts";
import { ApiError, request } from "./request.ts";

export interface Column {
  readonly name: string;
  readonly type: string;
  readonly priority: number;
}

/** One line of a server-side table; of the object only what lists need is kept. */
export interface Row {
  readonly key: string;
  readonly metadata: Metadata;
  readonly cells: readonly unknown[];
}

export interface FeedState<T> {
  readonly phase: "loading" | "live" | "interrupted" | "failed";
  readonly items: readonly T[];
  readonly columns: readonly Column[];
  readonly error?: unknown;
  /** More than the page keeps: narrow the list down. */
  readonly truncated: boolean;
}

export interface FeedQuery {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

interface Table {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly columnDefinitions?: readonly Column[];
  readonly rows: readonly { readonly cells: readonly unknown[]; readonly object: { readonly metadata: Metadata } }[];
}

const tableType = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const pageSize = 500;
const mostItems = 5_000;
const showEvery_ms = 120;
const longestWait_ms = 30_000;

/** How a feed reads one form of answers. */
interface Form<T> {
  readonly accept: string;
  readonly query: Readonly<Record<string, string>>;
  read(document: unknown): { readonly items: T[]; readonly columns?: readonly Column[] };
  keyOf(item: T): string;
  versionOf(document: unknown): string | undefined;
}

const tableForm: Form<Row> = {
  accept: tableType,
  query: { includeObject: "Metadata" },
  read(document) {
    const { rows, columnDefinitions } = document as Table;
    const items = rows.map(({ cells, object }) => ({
      key: keyOf(object.metadata),
      metadata: slim(object.metadata),
      cells,
    }));
    return { items, ...(columnDefinitions?.length ? { columns: columnDefinitions } : {}) };
  },
  keyOf: ({ key }) => key,
  versionOf: (document) => (document as Table).rows[0]?.object.metadata.resourceVersion,
};

const objectForm: Form<KubeObject> = {
  accept: "application/json",
  query: {},
  read(document) {
    const { items, apiVersion, kind } = document as KubeObject & { readonly items?: readonly KubeObject[] };
    if (!items) return { items: [document as KubeObject] };
    // Lists leave out of their members what they say themselves.
    const type = { apiVersion: apiVersion ?? "", kind: kind?.replace(/List$/, "") ?? "" };
    return { items: items.map((item) => ({ ...type, ...item })) };
  },
  keyOf: ({ metadata }) => keyOf(metadata),
  versionOf: (document) => (document as KubeObject).metadata.resourceVersion,
};

const keyOf = ({ uid, namespace, name }: Metadata): string => uid ?? `${namespace ?? ""}/${name}`;

function slim({
  name,
  namespace,
  uid,
  creationTimestamp,
  deletionTimestamp,
  labels,
  ownerReferences,
}: Metadata): Metadata {
  return {
    name,
    ...(namespace ? { namespace } : {}),
    ...(uid ? { uid } : {}),
    ...(creationTimestamp ? { creationTimestamp } : {}),
    ...(deletionTimestamp ? { deletionTimestamp } : {}),
    ...(labels ? { labels } : {}),
    ...(ownerReferences ? { ownerReferences } : {}),
  };
}

type Show<T> = (state: FeedState<T>) => void;

/** Follows a resource as the server's own table. Gives a function that ends it. */
export const followTable = (resource: Resource, query: FeedQuery, show: Show<Row>): (() => void) =>
  new Feed(resource, query, tableForm, show).start();

/** Follows whole objects: for few, as the boards or one object. */
export const followObjects = <T extends KubeObject>(
  resource: Resource,
  query: FeedQuery,
  show: Show<T>,
): (() => void) => new Feed(resource, query, objectForm as unknown as Form<T>, show).start();

class Feed<T> {
  readonly #items = new Map<string, T>();
  #columns: readonly Column[] = [];
  #phase: FeedState<T>["phase"] = "loading";
  #error: unknown;
  #truncated = false;
  #round: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ended = false;

  constructor(
    readonly resource: Resource,
    readonly query: FeedQuery,
    readonly form: Form<T>,
    readonly show: Show<T>,
  ) {}

  start(): () => void {
    const look = (): void => {
      if (document.hidden) this.#round?.abort();
      else if (!this.#round || this.#round.signal.aborted) void this.#run();
    };
    document.addEventListener("visibilitychange", look);
    look();
    return () => {
      this.#ended = true;
      this.#round?.abort();
      clearTimeout(this.#timer);
      document.removeEventListener("visibilitychange", look);
    };
  }

  async #run(): Promise<void> {
    const round = new AbortController();
    this.#round = round;
    let wait_ms = 1_000;
    while (!round.signal.aborted) {
      try {
        const version = await this.#list(round.signal);
        this.#set("live");
        wait_ms = 1_000;
        if (!this.resource.verbs.includes("watch")) return;
        await this.#watch(version, round.signal);
      } catch (error) {
        if (round.signal.aborted) return;
        // What is refused stays refused; the view says how to go on.
        const isFinal = error instanceof ApiError && [401, 403, 404, 405].includes(error.code);
        this.#error = error;
        this.#set(isFinal ? "failed" : this.#items.size > 0 ? "interrupted" : "failed");
        if (isFinal) return;
        await new Promise((resolve) => setTimeout(resolve, wait_ms * (0.75 + Math.random() / 2)));
        wait_ms = Math.min(wait_ms * 2, longestWait_ms);
      }
    }
  }

  #path(extra: Readonly<Record<string, string>>): string {
    const { namespace, labelSelector, fieldSelector } = this.query;
    const parameters = new URLSearchParams({
      ...this.form.query,
      ...(labelSelector ? { labelSelector } : {}),
      ...(fieldSelector ? { fieldSelector } : {}),
      ...extra,
    });
    return `${listPath(this.resource, namespace)}?${parameters}`;
  }

  async #list(signal: AbortSignal): Promise<string> {
    const found = new Map<string, T>();
    let version = "";
    let next = "";
    do {
      const path = this.#path({ limit: String(pageSize), ...(next ? { continue: next } : {}) });
      const answer = await request(path, { accept: this.form.accept, signal });
      const document = (await answer.json()) as { metadata?: { resourceVersion?: string; continue?: string } };
      const { items, columns } = this.form.read(document);
      for (const item of items) found.set(this.form.keyOf(item), item);
      if (columns) this.#columns = columns;
      version = document.metadata?.resourceVersion ?? "";
      next = document.metadata?.continue ?? "";
    } while (next !== "" && found.size < mostItems);
    this.#truncated = next !== "";
    this.#items.clear();
    for (const [key, item] of found) this.#items.set(key, item);
    return version;
  }

  async #watch(from: string, signal: AbortSignal): Promise<void> {
    let version = from;
    // A watch ends now and then by itself, and goes on from where it was.
    while (!signal.aborted) {
      const path = this.#path({ watch: "true", allowWatchBookmarks: "true", resourceVersion: version });
      const answer = await request(path, { accept: this.form.accept, signal });
      for await (const line of linesOf(answer)) {
        if (line === "") continue;
        const { type, object } = JSON.parse(line) as { type: string; object: unknown };
        if (type === "ERROR") throw new ApiError(410, object as object);
        version = this.form.versionOf(object) ?? version;
        if (type !== "BOOKMARK") this.#take(type, object);
      }
    }
  }

  #take(type: string, object: unknown): void {
    for (const item of this.form.read(object).items) {
      const key = this.form.keyOf(item);
      if (type === "DELETED") this.#items.delete(key);
      else if (this.#items.has(key) || this.#items.size < mostItems) this.#items.set(key, item);
      else this.#truncated = true;
    }
    this.#show();
  }

  #set(phase: FeedState<T>["phase"]): void {
    this.#phase = phase;
    if (phase === "live") this.#error = undefined;
    this.#show();
  }

  /** Many changes at once are shown once. */
  #show(): void {
    if (this.#ended || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.show({
        phase: this.#phase,
        items: [...this.#items.values()],
        columns: this.#columns,
        error: this.#error,
        truncated: this.#truncated,
      });
    }, showEvery_ms);
  }
}
