"""Series as numbers without a network: kernels, tournaments among kernels, and quantiles of intervals."""
