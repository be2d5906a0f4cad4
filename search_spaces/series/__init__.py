"""Series over time as models of forecasting see them: histories before an origin, their scales, calendar and lags."""
