"""Sources of bars. Each package answers `domain.source.BarSource`; none imports another."""
