/** Where in the page somebody is: the part of the address behind `#`, so that back, forward and bookmarks work. */
import { useEffect, useState } from "preact/hooks";
import type { Resource } from "./api/objects.ts";

export type Route =
  | { readonly view: "fleet" }
  | { readonly view: "events" }
  | { readonly view: "kinds" }
  | { readonly view: "create" }
  | { readonly view: "list"; readonly group: string; readonly version: string; readonly plural: string }
  | {
      readonly view: "object";
      readonly group: string;
      readonly version: string;
      readonly plural: string;
      readonly namespace: string | undefined;
      readonly name: string;
      readonly tab: string;
    };

const noNamespace = "_";
const coreGroup = "core";

function parseRoute(hash: string): Route {
  const [view = "", ...parts] = hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  const [group = "", version = "", plural = "", namespace = noNamespace, name = "", tab = ""] = parts;
  const place = { group: group === coreGroup ? "" : group, version, plural };
  if (view === "list" && plural !== "") return { view, ...place };
  if (view === "object" && name !== "")
    return { view, ...place, namespace: namespace === noNamespace ? undefined : namespace, name, tab };
  if (view === "events" || view === "kinds" || view === "create") return { view };
  return { view: "fleet" };
}

type Place = Pick<Resource, "group" | "version" | "plural">;

export const listLink = ({ group, version, plural }: Place): string =>
  `#/list/${group || coreGroup}/${version}/${plural}`;

export function objectLink(
  { group, version, plural }: Place,
  { namespace, name }: { readonly namespace?: string | undefined; readonly name: string },
  tab = "",
): string {
  const parts = [group || coreGroup, version, plural, namespace ?? noNamespace, name, ...(tab ? [tab] : [])];
  return `#/object/${parts.map(encodeURIComponent).join("/")}`;
}

export function go(link: string): void {
  location.hash = link;
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => parseRoute(location.hash));
  useEffect(() => {
    const look = (): void => setRoute(parseRoute(location.hash));
    addEventListener("hashchange", look);
    return () => removeEventListener("hashchange", look);
  }, []);
  return route;
}
