// Types of node24.js, which is plain JavaScript because it runs before there is a Node that strips types.
export declare const nodeMajorMin: number;
interface Here {
  readonly version: string;
  readonly platform: string;
  readonly arch: string;
}
export declare function findNode24(root: string, here?: Here & { readonly execPath: string }): string | null;
export declare function describeMissingNode(here?: Here): string;
