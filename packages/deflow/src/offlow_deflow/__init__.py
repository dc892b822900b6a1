"""DeFlow, DeFlow-VF and floq: actions refined within a trust region, and critics that are flows over returns."""
