import { builtinDeclarations, optionalDeclarations } from "../../apiserver/resources/index.ts";

const groups = new Map(
  [...builtinDeclarations, ...optionalDeclarations]
    .filter(({ storedAs }) => !storedAs)
    .map(({ ref: { plural, group } }) => [plural, group]),
);

/** The group under which a built-in resource is stored, by its plural; undefined for what is none. */
export const groupOfBuiltIn = (plural: string): string | undefined => groups.get(plural);
