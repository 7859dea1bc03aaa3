from cryobench.testing.toy import PIXEL_SIZE, permuted, toy_blobs, toy_dataset

__all__ = ["PIXEL_SIZE", "permuted", "toy_blobs", "toy_dataset"]
