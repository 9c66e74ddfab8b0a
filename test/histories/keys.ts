import type { Target } from "./operations.ts";
import { type Plural, resourceOf } from "./resources.ts";

/** Of an object in the store. */
export const keyOf = ({ plural, namespace, name }: Target): string =>
  `${resourceOf(plural).prefix}${namespace}/${name}`;

/** Of a resource's objects in a namespace, or in all. */
export const prefixOf = (plural: Plural, namespace: string | undefined): string =>
  namespace === undefined ? resourceOf(plural).prefix : `${resourceOf(plural).prefix}${namespace}/`;
